import { describe, expect, it } from "vitest";
import { findLayer, parseAddress, parsePacket, type Address, type Prefix } from "@skep/net";
import { openSim, StandstillError, type SimMachine, type SimNamespace, type TcpConnection } from "../src/index.ts";

const ip = (text: string): Address => {
  const found = parseAddress(text);
  if (!found) throw new Error(text);
  return found;
};
const prefix = (text: string): Prefix => {
  const [address = "", length = ""] = text.split("/");
  return { address: ip(address), length: Number(length) };
};
const text = (data: Uint8Array): string => new TextDecoder().decode(data);

interface World {
  readonly machine: SimMachine;
  readonly client: SimNamespace;
  readonly server: SimNamespace;
}

/** A client and a server, with the host as the router between them. */
function world(seed = 1): World {
  const machine = openSim({ seed });
  const { net } = machine;
  const join = (name: string, number: number): SimNamespace => {
    const space = net.createNamespace(name);
    const { host, peer } = net.host.createVeth(`h-${name}`, { namespace: space, name: "eth0" });
    net.host.setUp(host.index, true);
    space.setUp(peer.index, true);
    net.host.addAddress(host.index, prefix(`10.0.${number}.1/24`));
    space.addAddress(peer.index, prefix(`10.0.${number}.2/24`));
    space.addRoute({ destination: prefix("0.0.0.0/0"), gateway: ip(`10.0.${number}.1`), interface: peer.index });
    net.host.addAddress(host.index, prefix(`fd00:${number}::1/64`));
    space.addAddress(peer.index, prefix(`fd00:${number}::2/64`));
    space.addRoute({ destination: prefix("::/0"), gateway: ip(`fd00:${number}::1`), interface: peer.index });
    return space;
  };
  net.host.setSysctl("net/ipv4/ip_forward", "1");
  net.host.setSysctl("net/ipv6/conf/all/forwarding", "1");
  return { machine, client: join("client", 1), server: join("server", 2) };
}

/** Answers every connection with what it got, in capitals, and ends when the other end does. */
function echo(server: SimNamespace, port: number): TcpConnection[] {
  const accepted: TcpConnection[] = [];
  server.stack.tcp.listen({ port }, (connection) => {
    accepted.push(connection);
    connection.onData = (data) => connection.write(text(data).toUpperCase());
    connection.onEnd = () => connection.end();
  });
  return accepted;
}

describe("TCP", () => {
  it("opens, carries data both ways and closes", async () => {
    const { machine, client, server } = world();
    echo(server, 80);
    const got: string[] = [];
    const talk = async (): Promise<string> => {
      const connection = await client.stack.tcp.connect({ address: ip("10.0.2.2"), port: 80 });
      const ended = new Promise<Error | null>((resolve) => (connection.onEnd = resolve));
      connection.onData = (data) => got.push(text(data));
      connection.write("hello");
      connection.end();
      return String(await ended);
    };
    expect(await machine.simulation.run(talk())).toBe("null");
    expect(got.join("")).toBe("HELLO");
  });

  it("over IPv6, with neighbours found", async () => {
    const { machine, client, server } = world();
    const accepted = echo(server, 80);
    const connection = await machine.simulation.run(client.stack.tcp.connect({ address: ip("fd00:2::2"), port: 80 }));
    expect(connection.state).toBe("established");
    await machine.simulation.pass(1);
    expect(accepted[0]?.remote.address).toEqual(ip("fd00:1::2"));
  });

  it("carries a megabyte in order over a wire that loses one frame in ten", async () => {
    const { machine, client, server } = world(7);
    const wire = client.deviceByName("eth0");
    const back = machine.net.host.deviceByName("h-client");
    if (!wire || !back) throw new Error("no wire");
    wire.quality = { loss: 0.1, delay: 2 };
    back.quality = { loss: 0.1, delay: 2 };
    const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) & 0xff);
    const received: Uint8Array[] = [];
    const done = new Promise<void>((resolve) => {
      server.stack.tcp.listen({ port: 80 }, (connection) => {
        connection.onData = (data) => received.push(data);
        connection.onEnd = () => resolve();
      });
    });
    const connection = await machine.simulation.run(client.stack.tcp.connect({ address: ip("10.0.2.2"), port: 80 }));
    connection.write(bytes);
    connection.end();
    await machine.simulation.run(done);
    expect(Buffer.concat(received).equals(Buffer.from(bytes))).toBe(true);
    expect(connection.retransmissions).toBeGreaterThan(10);
  });

  it("is refused where nobody listens, and times out where nobody answers", async () => {
    const { machine, client, server } = world();
    const connect = (address: string, timeout?: number): Promise<unknown> =>
      machine.simulation
        .run(client.stack.tcp.connect({ address: ip(address), port: 81 }, timeout === undefined ? {} : { timeout }))
        .catch((error: unknown) => (error as { code: string }).code);
    expect(await connect("10.0.2.2")).toBe("ECONNREFUSED");
    expect(await connect("10.0.2.77")).toBe("EHOSTUNREACH");
    expect(await connect("192.0.2.1")).toBe("EHOSTUNREACH");
    machine.net.host.setUp(machine.net.host.deviceByName("h-server")?.index ?? 0, false);
    expect(server.name).toBe("server");
    const quiet = machine.net.host.deviceByName("h-client");
    if (!quiet) throw new Error("no wire");
    quiet.quality = { loss: 1 };
    const before = machine.clock.now();
    expect(await connect("10.0.2.2", 300)).toBe("ETIMEDOUT");
    expect(machine.clock.now() - before).toBe(300);
  });

  it("tells a reset", async () => {
    const { machine, client, server } = world();
    const accepted = echo(server, 80);
    const connection = await machine.simulation.run(client.stack.tcp.connect({ address: ip("10.0.2.2"), port: 80 }));
    const ended = new Promise<Error | null>((resolve) => (connection.onEnd = resolve));
    await machine.simulation.pass(1);
    accepted[0]?.abort();
    expect((await machine.simulation.run(ended))?.message).toContain("ECONNRESET");
    expect(connection.state).toBe("closed");
  });
});

describe("UDP and ICMP", () => {
  it("datagrams go and come back, and a closed port is told", async () => {
    const { machine, client, server } = world();
    const service = server.stack.udp.open({ port: 53 });
    service.onDatagram = ({ data, from }) => service.send(Uint8Array.of(...data, 9), from);
    const socket = client.stack.udp.open();
    const answer = socket.receive();
    socket.send(Uint8Array.of(1, 2), { address: ip("10.0.2.2"), port: 53 });
    const datagram = await machine.simulation.run(answer);
    expect([...(datagram?.data ?? [])]).toEqual([1, 2, 9]);
    expect(datagram?.from).toEqual({ address: ip("10.0.2.2"), port: 53 });
    const refused = new Promise<Error>((resolve) => (socket.onError = resolve));
    socket.send(Uint8Array.of(1), { address: ip("10.0.2.2"), port: 54 });
    expect((await machine.simulation.run(refused)).message).toContain("ECONNREFUSED");
  });

  it("echo requests are answered, through the router, after the wire's time", async () => {
    const { machine, client } = world();
    const wire = client.deviceByName("eth0");
    if (!wire) throw new Error("no wire");
    await machine.simulation.run(client.stack.ping(ip("10.0.2.2")));
    wire.quality = { delay: 5 };
    expect(await machine.simulation.run(client.stack.ping(ip("10.0.2.2")))).toBe(5);
    expect(await machine.simulation.run(client.stack.ping(ip("fd00:2::2")))).toBeGreaterThanOrEqual(5);
    expect(await machine.simulation.run(client.stack.ping(ip("10.0.2.99")))).toBeNull();
  });

  it("a router lowers the TTL and mends the checksum", async () => {
    const { machine, client, server } = world();
    const seen: Uint8Array[] = [];
    server.deviceByName("eth0")?.taps.add(({ bytes, direction }) => direction === "in" && seen.push(bytes));
    await machine.simulation.run(client.stack.ping(ip("10.0.2.2")));
    const echoes = seen.map((bytes) => findLayer(parsePacket(bytes), "ipv4")).filter((layer) => layer !== null);
    expect(echoes.map(({ ttl }) => ttl)).toEqual([63]);
  });
});

describe("the simulation", () => {
  it("is the same twice with one seed, byte for byte, and another with another", async () => {
    const play = async (seed: number): Promise<string> => {
      const { machine, client, server } = world(seed);
      const frames: string[] = [];
      for (const device of [client.deviceByName("eth0"), server.deviceByName("eth0")])
        device?.taps.add(({ bytes, at }) => frames.push(`${at} ${Buffer.from(bytes).toString("hex")}`));
      echo(server, 80);
      const connection = await machine.simulation.run(client.stack.tcp.connect({ address: ip("10.0.2.2"), port: 80 }));
      connection.write("again");
      connection.end();
      await machine.simulation.pass(1000);
      return frames.join("\n");
    };
    const first = await play(3);
    expect(first.length).toBeGreaterThan(1000);
    expect(await play(3)).toBe(first);
    expect(await play(4)).not.toBe(first);
  });

  it("says when nothing will happen any more", async () => {
    const { machine } = world();
    await expect(machine.simulation.run(new Promise(() => undefined))).rejects.toThrow(StandstillError);
  });
});
