// The programs in the kernel, on packets made here: every drop code that this datapath can raise, replies, and what a policy's change does.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Endpoint } from "@skep/control";
import { openLinux, unmountPins } from "@skep/linux";
import type { Collection, Machine, Program, RawMap } from "@skep/machine";
import { parseAddress, type Address } from "@skep/net";
import { readObject } from "@skep/object";
import type { PolicyMapEntry } from "@skep/policy";
import { skepObject } from "./generated/skep-object.ts";
import { openDatapath, type Datapath, type DatapathEvent } from "./index.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: the datapath's tests need root and BPF");

const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(text);
  return found;
};

const CLIENT = "10.9.0.2";
const SERVER = "10.9.0.3";
const OUTSIDE = "192.0.2.9";
const OK = 0;
const SHOT = 2;
const REDIRECT = 7;

interface Shape {
  readonly source?: string;
  readonly destination?: string;
  readonly etherType?: number;
  readonly protocol?: number;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
  readonly flags?: number;
  readonly fragment?: number;
  readonly ttl?: number;
  readonly length?: number;
  readonly version?: number;
  readonly ihl?: number;
  readonly icmp?: readonly [type: number, code: number];
  /** What an ICMP error is about. */
  readonly inner?: Shape;
}

const SYN = 0x02;
const ACK = 0x10;

function ipv4(shape: Shape): number[] {
  const { protocol = 6, source = CLIENT, destination = SERVER, sourcePort = 40_000, destinationPort = 80 } = shape;
  const words = (value: number): number[] => [value >> 8, value & 0xff];
  const transport = shape.icmp
    ? [...shape.icmp, 0, 0, ...words(sourcePort), 0, 1, ...(shape.inner ? ipv4(shape.inner) : [])]
    : [
        ...words(sourcePort),
        ...words(destinationPort),
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0x50,
        shape.flags ?? SYN,
        0x20,
        0,
        0,
        0,
        0,
        0,
      ];
  const header = [
    ((shape.version ?? 4) << 4) | (shape.ihl ?? 5),
    0,
    ...words(20 + transport.length),
    0,
    0,
    ...words(shape.fragment ?? 0),
  ];
  header.push(shape.ttl ?? 64, protocol, 0, 0, ...ip(source).bytes, ...ip(destination).bytes);
  let sum = 0;
  for (let at = 0; at < 20; at += 2) sum += ((header[at] ?? 0) << 8) | (header[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  [header[10], header[11]] = [(~sum >> 8) & 0xff, ~sum & 0xff];
  return [...header, ...transport];
}

function packet(shape: Shape): Uint8Array {
  const ethernet = [
    2,
    0,
    0,
    0,
    0,
    1,
    2,
    0,
    0,
    0,
    0,
    2,
    (shape.etherType ?? 0x0800) >> 8,
    (shape.etherType ?? 0x0800) & 0xff,
  ];
  const bytes = Uint8Array.from([...ethernet, ...ipv4(shape)]);
  return shape.length === undefined ? bytes : bytes.slice(0, shape.length);
}

function ipChecksumHolds(frame: Uint8Array): boolean {
  let sum = 0;
  for (let at = 14; at < 34; at += 2) sum += ((frame[at] ?? 0) << 8) | (frame[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum === 0xffff;
}

const allow = (over: Partial<PolicyMapEntry>): PolicyMapEntry => ({
  ...{
    direction: "ingress",
    identity: 0,
    protocol: 0,
    port: 0,
    portPrefix: 0,
    precedence: 1,
    deny: false,
    proxyPort: 0,
    cookie: 7,
  },
  ...over,
});
const EGRESS = allow({ direction: "egress", cookie: 3 });
const port80 = allow({ protocol: 6, port: 80, portPrefix: 16 });

describe.skipIf(!privileged)("the datapath in the kernel", () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-datapath-"));
  const pins = join(folder, "bpf");
  const cgroup = `skep-datapath-${process.pid}`;
  let machine: Machine;
  let datapath: Datapath;
  let fromEndpoint: Program;
  let toEndpoint: Program;
  let events: DatapathEvent[] = [];
  let reader: ReturnType<Datapath["readEvents"]>;

  // A test run's packets come from the loopback interface of the caller's namespace: index 1 is the client's.
  const client: Endpoint = {
    ...{
      id: 11,
      namespace: "default",
      name: "client",
      labels: {},
      identity: 1001,
      address: ip(CLIENT),
      interfaceName: "lo",
      interfaceIndex: 1,
    },
    ...{ mac: Uint8Array.of(2, 0, 0, 0, 1, 1), hostMac: Uint8Array.of(2, 0, 0, 0, 1, 2) },
  };
  const server: Endpoint = {
    ...{
      id: 12,
      namespace: "default",
      name: "server",
      labels: {},
      identity: 1002,
      address: ip(SERVER),
      interfaceName: "none",
      interfaceIndex: 4095,
    },
    ...{ mac: Uint8Array.of(2, 0, 0, 0, 2, 1), hostMac: Uint8Array.of(2, 0, 0, 0, 2, 2) },
  };

  // The same programs once more, on the datapath's own maps: the datapath keeps its handles to itself.
  let programs: Collection;
  const pinnedMaps = (): Record<string, RawMap> => {
    const found = machine.bpf
      .pins(join(pins, "maps"))
      .map((name) => [name, machine.bpf.openMap(join(pins, "maps", name))] as const);
    return Object.fromEntries(found.flatMap(([name, map]) => (map && name !== "skep_layouts" ? [[name, map]] : [])));
  };
  const program = (name: string): Program => {
    const found = programs.programs[name];
    if (!found) throw new Error(`no program ${name}`);
    return found;
  };

  const policy = (endpoint: Endpoint, entries: readonly PolicyMapEntry[]): void => {
    datapath.setPolicy({ endpoint: endpoint.id, revision: 1, ingressEnforced: true, egressEnforced: true, entries });
  };

  const send = (shape: Shape, program = fromEndpoint): { verdict: number; data: Uint8Array; seen: DatapathEvent[] } => {
    events = [];
    const { returned, data } = program.test({ data: packet(shape) });
    reader.drain();
    return { verdict: returned, data, seen: events };
  };

  const dropCode = (shape: Shape, program = fromEndpoint): number => {
    const { verdict, seen } = send(shape, program);
    expect(verdict).toBe(SHOT);
    expect(seen.map(({ type }) => type)).toEqual([1]);
    return seen[0]?.reason ?? 0;
  };

  beforeAll(() => {
    machine = openLinux({ runFolder: folder });
    datapath = openDatapath(machine, { pins, cgroup: machine.processes.createCgroup(cgroup).path });
    programs = machine.bpf.load(readObject(skepObject()), { maps: pinnedMaps() });
    [fromEndpoint, toEndpoint] = [program("skep_from_ep"), program("skep_to_ep")];
    reader = datapath.readEvents((event) => events.push(event));
  });

  afterAll(async () => {
    reader?.close();
    programs?.close();
    datapath?.destroy();
    unmountPins(pins);
    await machine.processes.deleteCgroup(cgroup);
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(() => {
    for (const endpoint of [client, server]) datapath.removeEndpoint(endpoint);
    datapath.syncIpcache([{ prefix: { address: ip("0.0.0.0"), length: 0 }, identity: 2 }]);
    for (const endpoint of [client, server]) {
      policy(endpoint, [EGRESS, port80]);
      datapath.setEndpoint(endpoint);
    }
  });

  it("delivers what both policies allow: rewritten for the peer, one TTL less, checksum right, one event", () => {
    const { verdict, data, seen } = send({});
    expect(verdict).toBe(REDIRECT);
    expect([...data.subarray(0, 12)]).toEqual([...server.mac, ...server.hostMac]);
    expect(data[22]).toBe(63);
    expect(ipChecksumHolds(data)).toBe(true);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      type: 4,
      reason: 0,
      direction: "ingress",
      reply: false,
      sourceIdentity: 1001,
      destinationIdentity: 1002,
    });
    expect(seen[0]).toMatchObject({
      cookie: 7,
      egressCookie: 3,
      sourceEndpoint: 11,
      destinationEndpoint: 12,
      destinationPort: 80,
      protocol: 6,
    });
  });

  it("tells a flow once, and its first reply once", () => {
    send({});
    expect(send({ flags: ACK }).seen).toEqual([]);
    const back = { source: SERVER, destination: CLIENT, sourcePort: 80, destinationPort: 40_000, flags: SYN | ACK };
    const replied = send(back, toEndpoint);
    expect(replied.verdict).toBe(OK);
    expect(replied.seen).toMatchObject([{ type: 4, reply: true }]);
    expect(send({ ...back, flags: ACK }, toEndpoint).seen).toEqual([]);
  });

  it("lets a reply pass that no policy allows, but nothing that opens", () => {
    policy(client, [EGRESS]);
    const back = { source: SERVER, destination: CLIENT, sourcePort: 80, destinationPort: 40_000 };
    expect(dropCode({ ...back, flags: SYN | ACK }, toEndpoint)).toBe(133);
    send({});
    expect(send({ ...back, flags: SYN | ACK }, toEndpoint).verdict).toBe(OK);
    expect(dropCode({ ...back, flags: SYN }, toEndpoint)).toBe(133);
  });

  it("passes an ICMP error about a connection, and drops one about none", () => {
    const about = (destinationPort: number): Shape => ({
      ...{ source: OUTSIDE, destination: CLIENT, protocol: 1, icmp: [3, 1] },
      inner: { source: CLIENT, destination: SERVER, destinationPort },
    });
    policy(client, [EGRESS]);
    expect(dropCode(about(80), toEndpoint)).toBe(133);
    send({});
    expect(send(about(80), toEndpoint).verdict).toBe(OK);
    expect(dropCode(about(81), toEndpoint)).toBe(133);
  });

  it("gives what leaves for elsewhere to the stack", () => {
    const { verdict, seen } = send({ destination: OUTSIDE });
    expect(verdict).toBe(OK);
    expect(seen).toMatchObject([
      { type: 4, reason: 3, direction: "egress", destinationIdentity: 2, destinationEndpoint: 0 },
    ]);
  });

  it("leaves ARP to the stack", () => {
    expect(send({ etherType: 0x0806 }).verdict).toBe(OK);
    expect(send({ etherType: 0x0806 }, toEndpoint).verdict).toBe(OK);
  });

  describe("drops", () => {
    it("132: a source address that is not the workload's", () => {
      expect(dropCode({ source: OUTSIDE })).toBe(132);
    });
    it("133: nothing allows it, and the direction says where", () => {
      expect(dropCode({ destinationPort: 81 })).toBe(133);
      expect(events[0]).toMatchObject({ direction: "ingress", endpoint: 12, cookie: 0 });
      policy(client, [port80]);
      expect(dropCode({})).toBe(133);
      expect(events[0]).toMatchObject({ direction: "egress", endpoint: 11, cookie: 0 });
    });
    it("134: no IPv4 header where one is announced", () => {
      // A test run refuses a packet without a whole IPv4 header; a header that lies about its length gets in.
      expect(dropCode({ ihl: 4 })).toBe(134);
      expect(dropCode({ version: 6 })).toBe(134);
    });
    it("135: a transport header that is cut off", () => {
      expect(dropCode({ length: 40 })).toBe(135);
    });
    it("137: a protocol that is not tracked", () => {
      expect(dropCode({ protocol: 47 })).toBe(137);
    });
    it("139: neither IPv4 nor IPv6", () => {
      expect(dropCode({ etherType: 0x88cc })).toBe(139);
    });
    it("175: a fragment before the first", () => {
      expect(dropCode({ fragment: 0x0010 })).toBe(175);
    });
    it("180: what needs a proxy that is not there", () => {
      policy(server, [EGRESS, { ...port80, proxyPort: 10_001 }]);
      expect(dropCode({})).toBe(180);
    });
    it("181: a deny, which wins over an allow of less precedence", () => {
      policy(server, [EGRESS, { ...port80, identity: 1001 }, allow({ deny: true, precedence: 255, cookie: 9 })]);
      expect(dropCode({})).toBe(181);
      expect(events[0]).toMatchObject({ cookie: 9 });
    });
    it("196: a TTL that ends here", () => {
      expect(dropCode({ ttl: 1 })).toBe(196);
    });
    it("203: an interface without an endpoint, an endpoint without a policy", () => {
      datapath.removeEndpoint(client);
      expect(dropCode({})).toBe(203);
      expect(dropCode({ source: SERVER, destination: CLIENT }, toEndpoint)).toBe(203);
      datapath.setEndpoint(client);
      expect(dropCode({})).toBe(203);
    });
  });

  it("counts forwards and drops by reason and direction", () => {
    const count = (reason: number, direction: string): bigint =>
      datapath.counters().find((each) => each.reason === reason && each.direction === direction)?.packets ?? 0n;
    const [denied, forwarded] = [count(133, "ingress"), count(0, "ingress")];
    dropCode({ destinationPort: 82 });
    send({});
    expect(count(133, "ingress")).toBe(denied + 1n);
    expect(count(0, "ingress")).toBe(forwarded + 1n);
  });

  it("stops an open connection when its rule goes, in both directions", () => {
    send({});
    const back = { source: SERVER, destination: CLIENT, sourcePort: 80, destinationPort: 40_000, flags: ACK };
    policy(client, [EGRESS]);
    expect(send(back, toEndpoint).verdict).toBe(OK);
    policy(client, []);
    expect(dropCode({ flags: ACK })).toBe(133);
    expect(dropCode(back, toEndpoint)).toBe(133);
  });

  it("keeps a server from sending on when its rule goes, though its own egress is open", () => {
    const request = { source: OUTSIDE, destination: CLIENT, sourcePort: 5000, destinationPort: 80 };
    const push = { source: CLIENT, destination: OUTSIDE, sourcePort: 80, destinationPort: 5000, flags: ACK };
    expect(send(request, toEndpoint).verdict).toBe(OK);
    expect(send(push).verdict).toBe(OK);
    policy(client, [EGRESS]);
    expect(dropCode(push)).toBe(133);
    expect(dropCode({ ...request, flags: ACK }, toEndpoint)).toBe(133);
    expect(dropCode(push)).toBe(133);
    policy(client, [EGRESS, port80]);
    expect(send({ ...request, flags: ACK }, toEndpoint).verdict).toBe(OK);
    expect(send(push).verdict).toBe(OK);
  });

  it("is adopted by the next agent, and prunes what that does not know", () => {
    const next = openDatapath(machine, { pins, cgroup: join(machine.processes.cgroupRoot, cgroup) });
    try {
      expect(next.adopted.restarted).toBe(true);
      expect([...next.adopted.endpoints].sort((a, b) => a - b)).toEqual([11, 12]);
      expect(next.prune([server])).toEqual({ endpoints: 1 });
      expect(dropCode({})).toBe(203);
    } finally {
      next.close();
    }
  });
});
