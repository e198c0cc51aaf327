import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compile } from "@skep/compiler";
import { findLayer, parseAddress, parsePacket, readCapture, type Address } from "@skep/net";
import { beforeAll, describe, expect, it } from "vitest";
import type { ObjectSpec } from "@skep/object";
import { capture, type Device, openSim, replay, type SimMachine, Simulation } from "../src/index.ts";

const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(text);
  return found;
};

let spec: ObjectSpec;
beforeAll(() => {
  const path = fileURLToPath(new URL("./tunnel.bpf.ts", import.meta.url));
  const compiled = compile(path, { readFile: (file) => readFileSync(file, "utf8") });
  if (!compiled.spec) throw new Error(compiled.diagnostics.map(({ message }) => message).join("\n"));
  ({ spec } = compiled);
});

interface World {
  readonly simulation: Simulation;
  readonly one: SimMachine;
  readonly two: SimMachine;
}

/** Two machines with a wire between them, 192.168.0.1 and .2. */
function world(): World {
  const simulation = new Simulation();
  const [one, two] = [openSim({ simulation }), openSim({ simulation })];
  const { host, peer } = one.net.host.createVeth("eth0", { namespace: two.net.host, name: "eth0" });
  for (const [machine, index, own] of [
    [one, host.index, "192.168.0.1"],
    [two, peer.index, "192.168.0.2"],
  ] as const) {
    machine.net.host.setUp(index, true);
    machine.net.host.addAddress(index, { address: ip(own), length: 24 });
  }
  return { simulation, one, two };
}

const device = (machine: SimMachine, name: string): Device => {
  const found = machine.net.host.deviceByName(name);
  if (!found) throw new Error(name);
  return found;
};

const word = (text: string): number => {
  const { bytes } = ip(text);
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
};

/** Ends of an overlay 10.1.0.0/16 over the wire; gives what the second end saw of tunnels. */
function overlay({ one, two }: World): { readonly keys: Uint8Array[] } {
  const keys: Uint8Array[] = [];
  for (const [machine, own, remote] of [
    [one, "10.1.0.1", "192.168.0.2"],
    [two, "10.1.0.2", "192.168.0.1"],
  ] as const) {
    const { host } = machine.net;
    const { index } = host.createTunnel("vxlan0", { protocol: "vxlan" });
    host.setUp(index, true);
    host.addAddress(index, { address: ip(own), length: 16 });
    const { programs, maps } = machine.bpf.load(spec, { config: { remote: word(remote) } });
    machine.bpf.attach(programs["encap"]!, { hook: "tcx", interface: index, direction: "egress" });
    machine.bpf.attach(programs["decap"]!, { hook: "tcx", interface: index, direction: "ingress" });
    if (machine === two) maps["came"]!.readRing((record) => keys.push(record.slice())).start();
  }
  return { keys };
}

describe("VXLAN", () => {
  it("carries what a program gave a tunnel, and tells the other end of it", async () => {
    const each = world();
    const { keys } = overlay(each);
    const seen = capture([device(each.one, "eth0")]);
    expect(await each.simulation.run(each.one.net.host.stack.ping(ip("10.1.0.2")))).toBe(0);
    const outer = seen.packets.map(({ data }) => parsePacket(data)).filter((packet) => findLayer(packet, "udp"));
    expect(outer.length).toBeGreaterThanOrEqual(2);
    for (const packet of outer) {
      expect(findLayer(packet, "udp")).toMatchObject({ destinationPort: 8472 });
      expect(findLayer(packet, "ipv4")).toMatchObject({ ttl: 9 });
      // RFC 7348: flags, reserved, identifier, reserved; then the frame.
      const at = 14 + 20 + 8;
      expect([...packet.bytes.subarray(at, at + 8)]).toEqual([8, 0, 0, 0, 0, 0, 42, 0]);
    }
    const view = new DataView(keys[0]!.buffer);
    expect([view.getUint32(0, true), view.getUint32(4, true)]).toEqual([42, word("192.168.0.1")]);
    expect(keys[0]![21]).toBe(9);
  });

  it("a packet that names no tunnel goes nowhere", async () => {
    const { simulation, one } = world();
    const { index } = one.net.host.createTunnel("vxlan0", { protocol: "vxlan" });
    one.net.host.setUp(index, true);
    one.net.host.addAddress(index, { address: ip("10.1.0.1"), length: 16 });
    expect(await simulation.run(one.net.host.stack.ping(ip("10.1.0.2")))).toBeNull();
    expect(one.net.counters.otherDrops).toBeGreaterThan(0);
    expect(() => one.net.host.createTunnel("vxlan1", { protocol: "vxlan" })).toThrow("EEXIST");
  });

  it("carries TCP", async () => {
    const each = world();
    overlay(each);
    each.two.net.host.stack.tcp.listen({ port: 80 }, (connection) => {
      connection.onData = (data) => connection.write(data);
    });
    const { tcp } = each.one.net.host.stack;
    const connection = await each.simulation.run(tcp.connect({ address: ip("10.1.0.2"), port: 80 }));
    const bytes = new Uint8Array(20_000).map((_, at) => at * 3);
    const got: number[] = [];
    connection.onData = (data) => got.push(...data);
    connection.write(bytes);
    await each.simulation.pass(1000);
    expect(got).toEqual([...bytes]);
  });
});

describe("Geneve", () => {
  it("frames come out behind options that nobody must know, and not behind others (RFC 8926, 3.4)", async () => {
    const { simulation, one, two } = world();
    const { index } = two.net.host.createTunnel("geneve0", { protocol: "geneve" });
    two.net.host.setUp(index, true);
    const seen: Uint8Array[] = [];
    device(two, "geneve0").taps.add(({ bytes, direction }) => void (direction === "in" && seen.push(bytes)));
    const inner = Uint8Array.from([2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5, 1, 2, 3, 4]);
    // Version and words of options, flags, protocol, identifier, reserved; then options.
    const header = (first: number, flags: number, protocol: number): number[] => {
      return [first, flags, protocol >>> 8, protocol & 0xff, 0, 0, 42, 0];
    };
    const option = [0x01, 0x4b, 1, 1, 9, 9, 9, 9];
    for (const bytes of [
      header(0, 0, 0x6558),
      [...header(2, 0, 0x6558), ...option],
      [...header(2, 0x40, 0x6558), ...option],
      header(0x40, 0, 0x6558),
      header(0, 0, 0x0800),
      header(0x3f, 0, 0x6558),
    ]) {
      one.net.host.stack.send({
        destination: ip("192.168.0.2"),
        layers: [
          { kind: "udp", sourcePort: 40_000, destinationPort: 6081 },
          { kind: "payload", bytes: Uint8Array.from([...bytes, ...inner]) },
        ],
      });
      await simulation.pass(10);
    }
    expect(seen).toEqual([inner, inner]);
  });
});

describe("fq", () => {
  it.each([
    ["fq", 7],
    ["none", 0],
  ] as const)("%s: a frame whose departure lies 7 ms ahead takes %d ms", async (queue, ms) => {
    const { simulation, one } = world();
    const eth0 = device(one, "eth0");
    await simulation.run(one.net.host.stack.ping(ip("192.168.0.2")));
    eth0.queue = queue;
    const { programs } = one.bpf.load(spec, { config: { spacing: 7_000_000n } });
    one.bpf.attach(programs["pace"]!, { hook: "tcx", interface: eth0.index, direction: "egress" });
    expect(await simulation.run(one.net.host.stack.ping(ip("192.168.0.2")))).toBe(ms);
  });
});

describe("captures", () => {
  it("of a device, as pcap and pcapng, with times of the virtual clock", async () => {
    const { simulation, one, two } = world();
    device(one, "eth0").quality = { delay: 3 };
    const seen = capture([device(one, "eth0"), device(two, "eth0")]);
    await simulation.run(one.net.host.stack.ping(ip("192.168.0.2")));
    seen.stop();
    await simulation.run(one.net.host.stack.ping(ip("192.168.0.2")));
    const whole = readCapture(seen.pcapng());
    expect(whole.error).toBeNull();
    expect(whole.interfaces.map(({ name }) => name)).toEqual(["host/eth0", "host/eth0"]);
    // ARP and its answer, the request and its answer, each at both ends.
    expect(whole.packets).toHaveLength(8);
    expect(whole.packets.slice(0, 2).map(({ interfaceIndex, direction }) => [interfaceIndex, direction])).toEqual([
      [0, "outbound"],
      [1, "inbound"],
    ]);
    const [first, second] = whole.packets;
    expect(second!.timestamp - first!.timestamp).toBe(3_000_000n);
    const plain = readCapture(seen.pcap());
    expect(plain.packets.map(({ timestamp }) => timestamp)).toEqual(whole.packets.map(({ timestamp }) => timestamp));
    expect(first!.timestamp / 1_000_000n).toBe(1_700_000_000_000n);
  });

  it("are played into a device in their own time", async () => {
    const { simulation, one, two } = world();
    one.net.host.stack.udp.open({ port: 9 });
    const recorded = capture([device(one, "eth0")]);
    const socket = one.net.host.stack.udp.open();
    for (const [at, text] of ["a", "b", "c"].entries()) {
      one.clock.after(at * 250, () =>
        socket.send(new TextEncoder().encode(text), { address: ip("192.168.0.2"), port: 7 }),
      );
    }
    await simulation.pass(1000);
    const datagrams = recorded.packets.filter(({ data }) => findLayer(parsePacket(data), "udp"));
    expect(datagrams).toHaveLength(3);
    recorded.stop();
    const server = two.net.host.stack.udp.open({ port: 7 });
    const arrived: [string, number][] = [];
    const start = two.clock.now();
    server.onDatagram = ({ data }) => arrived.push([new TextDecoder().decode(data), two.clock.now() - start]);
    expect(replay(device(two, "eth0"), recorded.pcap())).toBe(recorded.packets.length);
    await simulation.pass(1000);
    expect(arrived).toEqual([
      ["a", 0],
      ["b", 250],
      ["c", 500],
    ]);
    arrived.length = 0;
    const again = two.clock.now();
    replay(device(two, "eth0"), recorded.pcapng(), { speed: Infinity });
    await simulation.pass(1);
    expect(arrived.map(([text]) => text)).toEqual(["a", "b", "c"]);
    expect(two.clock.now() - again).toBe(1);
    expect(() => replay(device(two, "eth0"), new Uint8Array(40))).toThrow(RangeError);
  });
});
