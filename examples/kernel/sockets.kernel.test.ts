import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openProcesses } from "@skep/linux";
import { canUseBpf } from "../../packages/compiler/test/privilege.ts";
import { addRoute, deleteRoute, NetlinkSocket } from "../../packages/linux/src/netlink/index.ts";
import {
  acceptSocket,
  AF,
  bindSocket,
  connectSocket,
  type Descriptor,
  inNamespace,
  isReadable,
  listenSocket,
  O,
  openFile,
  openSocket,
  peerName,
  receive,
  sendTo,
  setNonBlocking,
  setSocketOption,
  SO,
  SOCK,
  socketName,
  socketOption,
  SOL,
} from "../../packages/linux/src/sys/index.ts";
import { Lab, nextDatagram, readSockaddr, sendText, sockaddr, u32, type Pair } from "../../packages/linux/test/lab.ts";
import type { App } from "@skep/machine";
import { Corpus, run } from "./corpus.ts";
import { ethernet, ipv4, ipv6, number, packet, udp } from "./packets.ts";
import * as anyPort from "./any-port.bpf.ts";
import * as bind from "./cgroup-bind.bpf.ts";
import * as devices from "./cgroup-devices.bpf.ts";
import * as egress from "./cgroup-egress.bpf.ts";
import * as options from "./cgroup-options.bpf.ts";
import * as service from "./cgroup-service.bpf.ts";
import * as sockets from "./cgroup-sockets.bpf.ts";
import * as sysctl from "./cgroup-sysctl.bpf.ts";
import * as traffic from "./cgroup-traffic.bpf.ts";
import * as unix from "./cgroup-unix.bpf.ts";
import * as dissector from "./flow-dissector.bpf.ts";
import * as lwt from "./lwt-route.bpf.ts";
import * as netfilter from "./netfilter-ttl.bpf.ts";
import * as reuseport from "./reuseport.bpf.ts";
import * as filter from "./socket-filter.bpf.ts";
import * as redirect from "./sockmap-redirect.bpf.ts";
import * as splice from "./sockmap-splice.bpf.ts";
import * as rtt from "./sockops-rtt.bpf.ts";
import * as option from "./sockops-option.bpf.ts";

const enabled = canUseBpf();
type Octets = readonly [number, number, number, number];
const localhost: Octets = [127, 0, 0, 1];
const nowhere: Octets = [10, 77, 255, 255];

describe.skipIf(!enabled)("programs of sockets and cgroups", () => {
  let lab: Lab;
  let corpus: Corpus;
  let pair: Pair;
  let folder: { path: string; id: bigint };
  let files = "";
  const processes = openProcesses();
  const name = `skep-corpus-${process.pid}`;

  beforeAll(() => {
    lab = new Lab("corpussock");
    corpus = new Corpus(lab.bpf);
    pair = lab.pair(3);
    folder = processes.createCgroup(name);
    files = mkdtempSync(join(tmpdir(), "skep-corpus-"));
  });
  afterEach(() => {
    corpus.closeAll();
    lab.reset();
  });
  afterAll(async () => {
    if (!enabled) return;
    lab.close();
    await processes.deleteCgroup(name);
    rmSync(files, { recursive: true });
  });

  function attachAll<M extends object>(app: App<M>): App<M> {
    for (const program of Object.values(app.collection.programs)) {
      corpus.keep(lab.bpf.attach(program as never, { hook: "cgroup", path: folder.path }));
    }
    return app;
  }

  /** With this process in the cgroup and this thread in the lab's host: the result, or the error's name. */
  function inside<T>(act: () => T): T | string {
    const home = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
    writeFileSync(`${folder.path}/cgroup.procs`, String(process.pid));
    try {
      return inNamespace(lab.host.path, act);
    } catch (error) {
      if (error instanceof Error && "code" in error) return String(error.code);
      throw error;
    } finally {
      writeFileSync(`${processes.cgroupRoot}${home}/cgroup.procs`, String(process.pid));
    }
  }

  const open = (type: number, family: number = AF.INET) => lab.keep(openSocket(family, type));
  const connectTo = (address: Octets, port: number) => {
    const socket = open(SOCK.STREAM);
    connectSocket(socket.fd, sockaddr(address, port));
    return socket;
  };
  const tryConnect = (address: Octets, port: number) => inside(() => (connectTo(address, port), "connected"));
  function serve(port: number): Descriptor {
    const socket = open(SOCK.STREAM);
    setSocketOption(socket.fd, { level: SOL.SOCKET, option: SO.REUSEADDR }, 1);
    bindSocket(socket.fd, sockaddr(localhost, port));
    listenSocket(socket.fd);
    return socket;
  }
  function sockaddr6(last: number, port: number): Uint8Array {
    const bytes = new Uint8Array(28);
    bytes.set([AF.INET6, 0, port >> 8, port & 255]);
    bytes[23] = last;
    return bytes;
  }

  it("cgroup-service: a service address at the socket, there and back", () => {
    const app = attachAll(corpus.load("cgroup-service", service));
    const [wanted, backend] = [number("10.77.255.255"), number("127.0.0.1")];
    app.maps.services.set({ ip: wanted, port: 80, padding: 0 }, { ip: backend, port: 8401, padding: 0 });
    app.maps.services.set({ ip: wanted, port: 53, padding: 0 }, { ip: backend, port: 8402, padding: 0 });
    const seen = inside(() => {
      serve(8401);
      return readSockaddr(peerName(connectTo(nowhere, 80).fd));
    });
    expect(seen).toBe("10.77.255.255:80");
    const answers = inside(() => {
      const [resolver, asking] = [open(SOCK.DGRAM), open(SOCK.DGRAM)];
      bindSocket(resolver.fd, sockaddr(localhost, 8402));
      bindSocket(asking.fd, sockaddr(localhost, 8403));
      sendText(asking, "question", sockaddr(nowhere, 53));
      const question = nextDatagram(resolver);
      sendText(resolver, "answer", sockaddr(localhost, 8403));
      return [question?.text, nextDatagram(asking)];
    });
    expect(answers).toEqual(["question", { text: "answer", from: "10.77.255.255:53" }]);
  });

  it("cgroup-egress: allowed networks alone, with an error that says so", () => {
    const app = attachAll(corpus.load("cgroup-egress", egress));
    inside(() => serve(8411));
    expect(tryConnect(localhost, 8411)).toBe("ECONNREFUSED");
    app.maps.allowed.set({ length: 8, address: number("127.0.0.0") }, 1);
    expect(tryConnect(localhost, 8411)).toBe("connected");
    const six = (last: number) =>
      inside(() => (connectSocket(open(SOCK.STREAM, AF.INET6).fd, sockaddr6(last, 9)), "connected"));
    expect(six(2)).toBe("EPERM");
    const send6 = (last: number) =>
      inside(() => sendTo(open(SOCK.DGRAM, AF.INET6).fd, new Uint8Array(1), { to: sockaddr6(last, 9) }));
    expect(send6(2)).toBe("EPERM");
  });

  it("cgroup-bind: moves low ports, refuses reserved ones", () => {
    const app = attachAll(corpus.load("cgroup-bind", bind));
    app.maps.reserved.set(8443, 1);
    const take = (port: number) =>
      inside(() => {
        const socket = open(SOCK.STREAM);
        bindSocket(socket.fd, sockaddr(localhost, port));
        return readSockaddr(socketName(socket.fd));
      });
    expect(take(80)).toBe("127.0.0.1:8080");
    expect(take(8412)).toBe("127.0.0.1:8412");
    expect(take(443)).toBe("EPERM");
    expect(inside(() => (bindSocket(open(SOCK.STREAM, AF.INET6).fd, sockaddr6(1, 80)), "bound"))).toBe("EPERM");
  });

  it("cgroup-sockets: marked and counted", () => {
    const app = attachAll(corpus.load("cgroup-sockets", sockets, { config: { mark: 0x99 } }));
    const mark = inside(() => {
      const socket = openSocket(AF.INET, SOCK.STREAM);
      const bytes = socketOption(socket.fd, { level: SOL.SOCKET, option: SO.MARK });
      socket.close();
      return bytes[0];
    });
    expect(mark).toBe(0x99);
    expect(app.globals.count.value).toEqual({ made: 1n, released: 1n });
  });

  it("cgroup-traffic: bytes by cgroup, in its own storage", () => {
    const app = attachAll(corpus.load("cgroup-traffic", traffic));
    const text = inside(() => {
      const [to, from] = [open(SOCK.DGRAM), open(SOCK.DGRAM)];
      bindSocket(to.fd, sockaddr(localhost, 8421));
      sendText(from, "12345678", sockaddr(localhost, 8421));
      return nextDatagram(to)?.text;
    });
    expect(text).toBe("12345678");
    const raw = app.collection.maps["traffic"]!;
    const [value] = [...raw.entries()].map(([, bytes]) => new BigUint64Array(bytes.slice().buffer, 0, 3));
    expect([...(value ?? [])]).toEqual([36n, 36n, 2n]);
  });

  it("cgroup-devices: by a list", () => {
    const app = attachAll(corpus.load("cgroup-devices", devices));
    const read = (path: string) => inside(() => (openFile(path, O.RDONLY).close(), "opened"));
    app.maps.devices.set({ type: 2, major: 1, minor: 5 }, 2);
    expect([read("/dev/zero"), read("/dev/urandom")]).toEqual(["opened", "EPERM"]);
  });

  it("cgroup-sysctl: may be read, not written", () => {
    const app = attachAll(corpus.load("cgroup-sysctl", sysctl));
    const path = "/proc/sys/net/core/somaxconn";
    const value = inside(() => readFileSync(path, "utf8"));
    expect(value).toMatch(/^\d+\n$/);
    expect(inside(() => (writeFileSync(path, value), "written"))).toBe("EPERM");
    expect(inside(() => readFileSync("/proc/sys/net/core/rmem_max", "utf8"))).toMatch(/^\d+\n$/);
    const counts = [0, 1].map((at) => (app.maps.counts.get(at) ?? []).reduce((all, one) => all + one, 0n));
    expect(counts[0]).toBeGreaterThan(0n);
    expect(counts[1]).toBe(1n);
  });

  it("cgroup-options: a limit for one option, none of another", () => {
    attachAll(corpus.load("cgroup-options", options, { config: { largest: 8192 } }));
    const SO_RCVBUF = 8;
    const buffer = inside(() => {
      const socket = open(SOCK.STREAM);
      setSocketOption(socket.fd, { level: SOL.SOCKET, option: SO_RCVBUF }, 1 << 20);
      return new DataView(socketOption(socket.fd, { level: SOL.SOCKET, option: SO_RCVBUF }).slice().buffer).getUint32(
        0,
        true,
      );
    });
    // The kernel doubles what is asked for.
    expect(buffer).toBe(16_384);
    const mark = () =>
      inside(() => (setSocketOption(open(SOCK.STREAM).fd, { level: SOL.SOCKET, option: SO.MARK }, 1), "set"));
    expect(mark()).toBe("EPERM");
  });

  it("cgroup-unix: no unix sockets", () => {
    const app = attachAll(corpus.load("cgroup-unix", unix));
    const path = `${files}/socket`;
    const address = new Uint8Array([AF.UNIX, 0, ...new TextEncoder().encode(path), 0]);
    const listener = open(SOCK.STREAM, AF.UNIX);
    bindSocket(listener.fd, address);
    listenSocket(listener.fd);
    expect(inside(() => (connectSocket(open(SOCK.STREAM, AF.UNIX).fd, address), "connected"))).toBe("EPERM");
    expect(inside(() => sendTo(open(SOCK.DGRAM, AF.UNIX).fd, new Uint8Array(1), { to: address }))).toBe("EPERM");
    expect(app.globals.refused.value).toBe(2n);
  });

  /** Talks over a connection of this host, in the cgroup. */
  function talk(port: number, rounds = 4): void {
    const done = inside(() => {
      const listener = serve(port);
      const one = connectTo(localhost, port);
      const other = lab.keep(acceptSocket(listener.fd)!);
      const buffer = new Uint8Array(16);
      for (let round = 0; round < rounds; round++) {
        sendText(one, "ping");
        receive(other.fd, buffer);
        sendText(other, "pong");
        receive(one.fd, buffer);
      }
      one.close();
      other.close();
      return "done";
    });
    expect(done).toBe("done");
  }

  it("sockops-rtt: round trips and states", () => {
    const app = attachAll(corpus.load("sockops-rtt", rtt));
    talk(8431);
    expect([...app.maps.histogram].reduce((all, [, count]) => all + count, 0n)).toBeGreaterThan(0n);
    const FIN_WAIT1 = 4;
    expect(app.maps.states.get(FIN_WAIT1)).toBeGreaterThan(0n);
  });

  it("sockops-option: an option in every header", () => {
    const app = attachAll(corpus.load("sockops-option", option, { config: { identity: 99 } }));
    talk(8432);
    expect(app.globals.written.value).toBeGreaterThan(3n);
    expect(app.globals.read.value).toBeGreaterThan(3n);
    expect(app.globals.seen.value).toBe(99);
  });

  it("socket-filter: DNS questions alone", () => {
    const app = corpus.load("socket-filter", filter);
    const verdict = (...layers: Parameters<typeof packet>) => run(app.programs.questions, packet(...layers)).returned;
    expect(verdict(ethernet(), ipv4(), udp(53))).toBe(128);
    expect([verdict(ethernet(), ipv4(), udp(54)), verdict(ethernet(), ipv6(), udp(53))]).toEqual([0, 0]);
    const ETH_P_ALL = 0x0300;
    const socket = lab.keep(inNamespace(lab.host.path, () => openSocket(AF.PACKET, SOCK.RAW, ETH_P_ALL)));
    setNonBlocking(socket.fd);
    corpus.keep(app.attach(app.programs.questions, { hook: "socket", descriptor: socket.fd }));
    sendText(lab.udp(lab.host), "hidden", sockaddr(pair.farAddress, 7003));
    expect(isReadable(socket.fd, 50)).toBe(false);
    sendText(lab.udp(lab.host), "seen", sockaddr(pair.farAddress, 53));
    expect(isReadable(socket.fd, 150)).toBe(true);
  });

  function connection(port: number): [Descriptor, Descriptor] {
    const listener = lab.listen(lab.host, localhost, port);
    const one = lab.connect(lab.host, localhost, port);
    const other = lab.accept(listener);
    if (typeof one === "string" || !other) throw new Error("no connection");
    return [one, other];
  }

  function textOf(socket: Descriptor): string | null {
    if (!isReadable(socket.fd, 150)) return null;
    const buffer = new Uint8Array(64);
    return new TextDecoder().decode(buffer.subarray(0, receive(socket.fd, buffer) ?? 0));
  }

  it("sockmap-redirect: the short way between two sockets", () => {
    const [one, other] = connection(8441);
    const app = corpus.load("sockmap-redirect", redirect);
    const ends = app.collection.maps["ends"]!;
    corpus.keep(app.attach(app.programs.shortcut, { hook: "sockmap", map: ends }));
    ends.set(u32(8441), u32(other.fd));
    ends.set(u32(1), u32(one.fd));
    sendText(one, "short cut");
    expect(textOf(other)).toBe("short cut");
    expect(app.globals.bytes.value).toBe(9n);
  });

  it("sockmap-splice: messages by their length, through a proxy", () => {
    const [one, proxyIn] = connection(8442);
    const [proxyOut, other] = connection(8443);
    const app = corpus.load("sockmap-splice", splice);
    const map = app.collection.maps["sockets"]!;
    for (const program of [app.programs.parser, app.programs.verdict])
      corpus.keep(app.attach(program, { hook: "sockmap", map }));
    map.set(u32(0), u32(proxyIn.fd));
    map.set(u32(1), u32(proxyOut.fd));
    for (const message of ["\u0003abc", "\u0002de"]) {
      sendText(one, message);
      expect(textOf(other)).toBe(message);
    }
    sendText(one, "\u0000");
    expect(textOf(other)).toBeNull();
    expect(app.globals.messages.value).toBe(2n);
  });

  it("reuseport: a client keeps its listener", () => {
    const listeners = [0, 1].map(() =>
      lab.keep(
        inNamespace(lab.host.path, () => {
          const socket = openSocket(AF.INET, SOCK.STREAM);
          setSocketOption(socket.fd, { level: SOL.SOCKET, option: SO.REUSEPORT }, 1);
          bindSocket(socket.fd, sockaddr(localhost, 8451));
          listenSocket(socket.fd);
          setNonBlocking(socket.fd);
          return socket;
        }),
      ),
    );
    const app = corpus.load("reuseport", reuseport, { config: { count: 2 } });
    const group = app.collection.maps["listeners"]!;
    listeners.forEach((listener, at) => group.set(u32(at), u32(listener.fd)));
    corpus.keep(app.attach(app.programs.choose, { hook: "socket", descriptor: listeners[0]!.fd }));
    for (const port of [20_000, 20_001, 20_002, 20_003]) {
      const socket = lab.keep(
        inNamespace(lab.host.path, () => {
          const made = openSocket(AF.INET, SOCK.STREAM);
          bindSocket(made.fd, sockaddr(localhost, port));
          connectSocket(made.fd, sockaddr(localhost, 8451));
          return made;
        }),
      );
      expect(socket.fd).toBeGreaterThan(0);
      expect(lab.accept(listeners[port % 2]!)).not.toBeNull();
      expect(isReadable(listeners[(port + 1) % 2]!.fd, 10)).toBe(false);
    }
  });

  it("any-port: one listener for a range", () => {
    const listener = lab.listen(lab.host, localhost, 8461);
    const app = corpus.load("any-port", anyPort, { config: { first: 9000, last: 9100 } });
    app.collection.maps["listener"]!.set(u32(0), u32(listener.fd));
    corpus.keep(app.attach(app.programs.dispatch, { hook: "sk_lookup" }));
    expect(typeof lab.connect(lab.host, localhost, 9050)).toBe("object");
    expect(lab.connect(lab.host, localhost, 9101)).toBe("ECONNREFUSED");
  });

  it("netfilter-ttl: what has come too far", () => {
    const app = corpus.load("netfilter-ttl", netfilter, { config: { least: 10 } });
    corpus.keep(app.attach(app.programs.guard, { hook: "netfilter", family: 4, point: "input", priority: -100 }));
    const receiver = lab.udp(lab.host, pair.nearAddress, 7006);
    const send = (ttl: number) => {
      const socket = lab.udp(pair.namespace);
      const [IPPROTO_IP, IP_TTL] = [0, 2];
      setSocketOption(socket.fd, { level: IPPROTO_IP, option: IP_TTL }, ttl);
      sendText(socket, "far", sockaddr(pair.nearAddress, 7006));
      return nextDatagram(receiver)?.text ?? null;
    };
    expect([send(64), send(9)]).toEqual(["far", null]);
    const NF_INET_LOCAL_IN = 1;
    expect(app.maps.hooks.get(NF_INET_LOCAL_IN)).toBeGreaterThanOrEqual(2n);
  });

  it("flow-dissector: the keys of UDP", () => {
    const app = corpus.load("flow-dissector", dissector);
    const result = run(app.programs.dissect, packet(ethernet(), ipv4(), udp(53)));
    expect(result.returned).toBe(0);
    // The test run gives struct bpf_flow_keys back.
    const keys = new DataView(result.data.slice().buffer);
    expect([keys.getUint16(0, true), keys.getUint16(2, true)]).toEqual([14, 34]);
    expect([keys.getUint8(9), keys.getUint16(12), keys.getUint16(14)]).toEqual([17, 40_000, 53]);
    expect([keys.getUint32(16), keys.getUint32(20)]).toEqual([number("192.0.2.1"), number("198.51.100.7")]);
    corpus.keep(app.attach(app.programs.dissect, { hook: "flow_dissector" }));
  });

  it("lwt-route: programs on a route", () => {
    const app = corpus.load("lwt-route", lwt, { config: { most: 100 } });
    const program = (each: "out" | "xmit") => ({
      fd: (app.programs[each] as unknown as { fd: number }).fd,
      name: each,
    });
    const route = {
      destination: { address: { family: 4 as const, bytes: new Uint8Array(pair.farAddress) }, length: 32 },
      interface: pair.near.index,
      encap: { out: program("out"), xmit: program("xmit") },
    };
    const withNetlink = (act: (socket: NetlinkSocket) => void) =>
      inNamespace(lab.host.path, () => {
        const socket = NetlinkSocket.open();
        try {
          act(socket);
        } finally {
          socket.close();
        }
      });
    withNetlink((socket) => addRoute(socket, route));
    try {
      const receiver = lab.udp(pair.namespace, pair.farAddress, 7007);
      const send = (text: string) => {
        sendText(lab.udp(lab.host), text, sockaddr(pair.farAddress, 7007));
        return nextDatagram(receiver)?.text ?? null;
      };
      expect(send("short")).toBe("short");
      // What is dropped on the way out is told to the sender.
      expect(() => send("x".repeat(200))).toThrow("EPERM");
      expect([0, 1, 2].map((at) => app.maps.counts.get(at))).toEqual([2n, 1n, 1n]);
    } finally {
      withNetlink((socket) => deleteRoute(socket, route));
    }
  });

  it("has run every program that it loaded", () => {
    expect(corpus.neverRun()).toEqual([]);
  });
});
