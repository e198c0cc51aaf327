import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { addRoute, deleteRoute, NetlinkSocket } from "../src/netlink/index.ts";
import { canUseBpf } from "../src/bpf/testing.ts";
import {
  AF,
  bindSocket,
  type Descriptor,
  inNamespace,
  isReadable,
  listenSocket,
  openDescriptors,
  openSocket,
  receive,
  setNonBlocking,
  setSocketOption,
  SO,
  SOCK,
  SOL,
  socketPair,
} from "../src/sys/index.ts";
import { countOf, Lab, nextDatagram, type Pair, printTable, row, sendText, sockaddr, u32 } from "./lab.ts";

const enabled = canUseBpf();
printTable("Sockets and namespaces");

describe.skipIf(!enabled)("sockets and namespaces", () => {
  let lab: Lab;
  let pair: Pair;
  const localhost = [127, 0, 0, 1] as const;

  beforeAll(() => {
    lab = new Lab("sock");
    pair = lab.pair(1);
  });
  afterEach(() => lab.reset());
  afterAll(() => {
    if (!enabled) return;
    lab.close();
    expect(openDescriptors()).toBe(0);
  });

  const inHost = <T>(run: () => T): T => inNamespace(lab.host.path, run);

  /** Both ends of an established connection over the host's loopback. */
  function connection(port: number): [Descriptor, Descriptor] {
    const listener = lab.listen(lab.host, localhost, port);
    const client = lab.connect(lab.host, localhost, port);
    const server = lab.accept(listener);
    if (typeof client === "string" || !server) throw new Error("no connection");
    return [client, server];
  }

  function textOf(socket: Descriptor): string | null {
    if (!isReadable(socket.fd, 150)) return null;
    const buffer = new Uint8Array(64);
    return new TextDecoder().decode(buffer.subarray(0, receive(socket.fd, buffer) ?? 0));
  }

  row("socket filter on a packet socket: passes, drops, is replaced, ends", () => {
    const ETH_P_ALL = 0x0300;
    const socket = lab.keep(inHost(() => openSocket(AF.PACKET, SOCK.RAW, ETH_P_ALL)));
    setNonBlocking(socket.fd);
    const pass = lab.load("socket", ["filter"]);
    const drop = lab.load("socket", ["filter"], { config: { choice: 1 } });
    const link = lab.keep(lab.bpf.attach(pass.programs["filter"]!, { hook: "socket", descriptor: socket.fd }));
    const send = () => sendText(lab.udp(lab.host), "seen", sockaddr(pair.farAddress, 7003));
    const got = () => {
      let text = "";
      for (let next = textOf(socket); next !== null; next = textOf(socket)) text += next;
      return text;
    };
    send();
    expect(got()).toContain("seen");
    link.update(drop.programs["filter"]!);
    send();
    expect(got()).toBe("");
    expect(countOf(drop, 0)).toBeGreaterThan(0);
    link.detach();
    send();
    expect(got()).toContain("seen");
    expect(() => link.pin("/sys/fs/bpf/x")).toThrow("this kernel does not support pinning a socket");
  });

  row("sk_msg on a sockhash: what one end sends, the other has without the network", () => {
    const [client, server] = connection(7101);
    const collection = lab.load("socket", ["to_end"]);
    const ends = collection.maps["ends"]!;
    const link = lab.keep(lab.bpf.attach(collection.programs["to_end"]!, { hook: "sockmap", map: ends }));
    // A socket takes the programs of the map when it enters it.
    ends.set(u32(0), fdValue(client));
    ends.set(u32(1), fdValue(server));
    expect(link.info).toMatchObject({ type: "sockmap", mapId: ends.info.id, attachType: "sk_msg_verdict" });
    sendText(client, "short cut");
    expect(textOf(server)).toBe("short cut");
    expect(countOf(collection, 1)).toBe(1);
    expect(ends.keys()).toHaveLength(2);
    link.close();
    // A socket keeps the program until it leaves the map.
    for (const key of ends.keys()) ends.delete(key);
    sendText(client, "the long way");
    expect(textOf(server)).toBe("the long way");
    expect(countOf(collection, 1)).toBe(1);
  });

  function fdValue(socket: Descriptor): Uint8Array {
    const value = new Uint8Array(8);
    value.set(u32(socket.fd));
    return value;
  }

  row("sk_skb stream parser and verdict: two connections spliced", () => {
    const [client, proxyIn] = connection(7102);
    const [proxyOut, server] = connection(7103);
    const collection = lab.load("socket", ["parse", "splice"]);
    const streams = collection.maps["streams"]!;
    for (const name of ["parse", "splice"]) {
      lab.keep(lab.bpf.attach(collection.programs[name]!, { hook: "sockmap", map: streams }));
    }
    streams.set(u32(0), fdValue(proxyIn));
    streams.set(u32(1), fdValue(proxyOut));
    sendText(client, "spliced");
    expect(textOf(server)).toBe("spliced");
    expect([countOf(collection, 2), countOf(collection, 3)]).toEqual([1, 1]);
  });

  row("sk_skb verdict on unix stream sockets", () => {
    const [left, leftEnd] = socketPair(AF.UNIX, SOCK.STREAM).map((each) => lab.keep(each)) as [Descriptor, Descriptor];
    const [right, rightEnd] = socketPair(AF.UNIX, SOCK.STREAM).map((each) => lab.keep(each)) as [
      Descriptor,
      Descriptor,
    ];
    for (const each of [left, leftEnd, right, rightEnd]) setNonBlocking(each.fd);
    const collection = lab.load("socket", ["verdict"]);
    const streams = collection.maps["streams"]!;
    lab.keep(lab.bpf.attach(collection.programs["verdict"]!, { hook: "sockmap", map: streams }));
    streams.set(u32(0), fdValue(leftEnd));
    streams.set(u32(1), fdValue(right));
    sendText(left, "across");
    expect(textOf(rightEnd)).toBe("across");
    expect(countOf(collection, 4)).toBe(1);
  });

  row("sk_reuseport chooses the listener", () => {
    const listeners = [0, 1].map(() =>
      lab.keep(
        inHost(() => {
          const socket = openSocket(AF.INET, SOCK.STREAM);
          setSocketOption(socket.fd, { level: SOL.SOCKET, option: SO.REUSEPORT }, 1);
          bindSocket(socket.fd, sockaddr(localhost, 7104));
          listenSocket(socket.fd);
          setNonBlocking(socket.fd);
          return socket;
        }),
      ),
    );
    for (const choice of [0, 1]) {
      const collection = lab.load("socket", ["choose"], { config: { choice } });
      listeners.forEach((listener, at) => collection.maps["group"]!.set(u32(at), fdValue(listener)));
      const link = lab.keep(
        lab.bpf.attach(collection.programs["choose"]!, { hook: "socket", descriptor: listeners[0]!.fd }),
      );
      expect(typeof lab.connect(lab.host, localhost, 7104)).toBe("object");
      expect(lab.accept(listeners[choice]!)).not.toBeNull();
      expect(countOf(collection, 5)).toBe(1);
      link.detach();
      for (const at of [0, 1]) collection.maps["group"]!.delete(u32(at));
    }
  });

  row("sk_lookup on a namespace: a listener that has every port", () => {
    const listener = lab.listen(lab.host, localhost, 7105);
    const collection = lab.load("socket", ["any_port"]);
    collection.maps["listener"]!.set(u32(0), fdValue(listener));
    expect(lab.connect(lab.host, localhost, 9999)).toBe("ECONNREFUSED");
    const link = lab.keep(lab.bpf.attach(collection.programs["any_port"]!, { hook: "sk_lookup" }));
    expect(typeof lab.connect(lab.host, localhost, 9999)).toBe("object");
    expect(countOf(collection, 6)).toBe(1);
    expect(link.info).toMatchObject({ type: "netns", attachType: "sk_lookup" });
    expect(lab.bpf.query({ hook: "sk_lookup" }).programs).toEqual([
      { programId: collection.programs["any_port"]!.info.id },
    ]);
    const elsewhere = lab.bpf.query({ hook: "sk_lookup", namespace: pair.namespace.path });
    expect(elsewhere.programs).toEqual([]);
  });

  row("flow_dissector on a namespace, and run by itself", () => {
    const { programs } = lab.load("socket", ["dissect"]);
    const link = lab.keep(lab.bpf.attach(programs["dissect"]!, { hook: "flow_dissector" }));
    expect(link.info).toMatchObject({ type: "netns", attachType: "flow_dissector" });
    expect(programs["dissect"]!.test({ data: new Uint8Array(64) }).returned).toBe(0);
  });

  row("netfilter: sees, drops, with defragmentation; no atomic replacement", () => {
    const at = lab.udp(lab.host, pair.nearAddress, 7106);
    const send = () => {
      sendText(lab.udp(pair.namespace), "ping", sockaddr(pair.nearAddress, 7106));
      return nextDatagram(at)?.text ?? null;
    };
    const target = { hook: "netfilter", family: 4, point: "input", priority: -100 } as const;
    const pass = lab.load("socket", ["hook"]);
    const link = lab.keep(lab.bpf.attach(pass.programs["hook"]!, target));
    expect(link.info).toMatchObject({ type: "netfilter", netfilter: { family: 2, hook: 1, priority: -100 } });
    expect(send()).toBe("ping");
    expect([countOf(pass, 7) > 0, countOf(pass, 8)]).toEqual([true, 1]);
    const drop = lab.load("socket", ["hook"], { config: { choice: 1 } });
    lab.keep(lab.bpf.attach(drop.programs["hook"]!, { ...target, priority: -99, defragment: true }));
    expect(send()).toBeNull();
    expect(() => link.update(drop.programs["hook"]!)).toThrow("EOPNOTSUPP");
    return "works; update: EOPNOTSUPP";
  });

  row("lightweight tunnels: programs on routes (lwt_in, lwt_out, lwt_xmit)", () => {
    const collection = lab.load("socket", ["route_in", "route_out", "route_xmit"]);
    const fd = (name: string) => ({ fd: collection.programs[name]!.fd, name });
    const at = lab.udp(pair.namespace, pair.farAddress, 7107);
    const destination = { address: { family: 4 as const, bytes: new Uint8Array(pair.farAddress) }, length: 32 };
    const route = { destination, interface: pair.near.index, encap: { out: fd("route_out"), xmit: fd("route_xmit") } };
    withNetlink((socket) => addRoute(socket, route));
    try {
      sendText(lab.udp(lab.host), "by the programs", sockaddr(pair.farAddress, 7107));
      expect(nextDatagram(at)?.text).toBe("by the programs");
      expect([countOf(collection, 9), countOf(collection, 10)]).toEqual([1, 1]);
    } finally {
      withNetlink((socket) => deleteRoute(socket, route));
    }
    lab.host.setSysctl("net/ipv4/ip_forward", "1");
    const elsewhere = { address: { family: 4 as const, bytes: new Uint8Array([203, 0, 113, 7]) }, length: 32 };
    withNetlink((socket) =>
      addRoute(socket, { destination: elsewhere, interface: pair.near.index, encap: { in: fd("route_in") } }),
    );
    pair.namespace.addRoute({
      destination: elsewhere,
      gateway: { family: 4, bytes: new Uint8Array(pair.nearAddress) },
      interface: pair.far.index,
    });
    sendText(lab.udp(pair.namespace), "forwarded", sockaddr([203, 0, 113, 7], 7108));
    expect(countOf(collection, 11)).toBeGreaterThan(0);
  });

  function withNetlink<T>(run: (socket: NetlinkSocket) => T): T {
    return inHost(() => {
      const socket = NetlinkSocket.open();
      try {
        return run(socket);
      } finally {
        socket.close();
      }
    });
  }
});
