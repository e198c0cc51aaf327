import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { canUseBpf } from "../src/bpf/testing.ts";
import { reapTests, testFolder, testName } from "../src/net/testing.ts";
import { openProcesses } from "../src/processes/index.ts";
import {
  acceptSocket,
  AF,
  bindSocket,
  connectSocket,
  type Descriptor,
  inNamespace,
  listenSocket,
  O,
  openDescriptors,
  openFile,
  openSocket,
  peerName,
  receive,
  sendTo,
  setSocketOption,
  SO,
  SOCK,
  socketName,
  socketOption,
  SOL,
} from "../src/sys/index.ts";
import type { LinuxCollection } from "../src/bpf/index.ts";
import {
  countOf,
  Lab,
  nextDatagram,
  printTable,
  readSockaddr,
  row,
  sendText,
  sockaddr,
  testObject,
  u32,
} from "./lab.ts";

const enabled = canUseBpf();
printTable("Cgroups");

describe.skipIf(!enabled)("cgroups", () => {
  let lab: Lab;
  let folder: { path: string; id: bigint };
  const processes = openProcesses();
  const name = testName("cgroup");
  let files = "";

  beforeAll(async () => {
    await reapTests();
    lab = new Lab("cgroup");
    folder = processes.createCgroup(name);
    files = testFolder("cgroup");
  });
  afterEach(() => lab.reset());
  afterAll(async () => {
    if (!enabled) return;
    lab.close();
    await processes.deleteCgroup(name);
    rmSync(files, { recursive: true });
    expect(openDescriptors()).toBe(0);
  });

  function attach(programs: readonly string[], config = {}): LinuxCollection {
    const collection = lab.load("cgroup", programs, { config });
    for (const program of programs) {
      lab.keep(lab.bpf.attach(collection.programs[program]!, { hook: "cgroup", path: folder.path }));
    }
    return collection;
  }

  function mode(collection: LinuxCollection, value: number): void {
    const bss = collection.maps[".bss"]!;
    const bytes = bss.get(u32(0))!;
    bytes.set(u32(value), offsetOf("mode"));
    bss.set(u32(0), bytes);
  }

  function offsetOf(variable: string): number {
    const found = testObject("cgroup").maps[".bss"]?.data?.variables.find((each) => each.name === variable);
    if (!found) throw new Error(`no variable ${variable}`);
    return found.offset;
  }

  /** Runs with this process in the cgroup and this thread in the lab's host namespace: `run`'s result, or the error's name. */
  function inside<T>(run: () => T): T | string {
    const home = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
    writeFileSync(`${folder.path}/cgroup.procs`, String(process.pid));
    try {
      return inNamespace(lab.host.path, run);
    } catch (error) {
      if (error instanceof Error && "code" in error) return String(error.code);
      throw error;
    } finally {
      writeFileSync(`${processes.cgroupRoot}${home}/cgroup.procs`, String(process.pid));
    }
  }

  const tcp = () => lab.keep(openSocket(AF.INET, SOCK.STREAM));
  const udp = () => lab.keep(openSocket(AF.INET, SOCK.DGRAM));
  const localhost = [127, 0, 0, 1] as const;
  const anywhere = [10, 77, 255, 255] as const;
  const loopback = new DataView(new Uint8Array(localhost).buffer).getUint32(0, true);

  /** ::1 */
  function sockaddr6(port: number): Uint8Array {
    const bytes = new Uint8Array(28);
    bytes.set([AF.INET6, 0, port >> 8, port & 255]);
    bytes[23] = 1;
    return bytes;
  }

  function sockaddrUnix(path: string): Uint8Array {
    return new Uint8Array([AF.UNIX, 0, ...new TextEncoder().encode(path), 0]);
  }

  function serve(port: number): Descriptor {
    const socket = tcp();
    setSocketOption(socket.fd, { level: SOL.SOCKET, option: SO.REUSEADDR }, 1);
    bindSocket(socket.fd, sockaddr(localhost, port));
    listenSocket(socket.fd);
    return socket;
  }

  function connectTo(address: readonly [number, number, number, number], port: number): string {
    connectSocket(tcp().fd, sockaddr(address, port));
    return "connected";
  }

  row("connect4: allow, deny with EPERM, deny with an error of the program's choice", () => {
    const collection = attach(["connect4"]);
    inside(() => serve(8080));
    const attempt = () => inside(() => connectTo(localhost, 8080));
    expect(attempt()).toBe("connected");
    mode(collection, 1);
    expect(attempt()).toBe("EPERM");
    mode(collection, 2);
    expect(attempt()).toBe("ECONNREFUSED");
    expect(countOf(collection, 0)).toBe(3);
  });

  row("service load balancing: connect4 with getpeername4 the other way", () => {
    const collection = attach(["connect4", "getpeername4", "getsockname4"], { to_address: loopback, to_port: 8084 });
    mode(collection, 3);
    const seen = inside(() => {
      const listener = serve(8084);
      const client = tcp();
      connectSocket(client.fd, sockaddr(anywhere, 80));
      const accepted = lab.keep(acceptSocket(listener.fd)!);
      return [readSockaddr(peerName(client.fd)), readSockaddr(socketName(accepted.fd))];
    });
    expect(seen).toEqual(["10.77.255.255:80", "127.0.0.1:8084"]);
    expect(countOf(collection, 1)).toBe(1);
    expect(countOf(collection, 2)).toBeGreaterThan(0);
  });

  row("sendmsg4 and recvmsg4: datagrams to a service and back", () => {
    const collection = attach(["sendmsg4", "recvmsg4"], { to_address: loopback, to_port: 8053 });
    mode(collection, 3);
    const seen = inside(() => {
      const [server, client] = [udp(), udp()];
      bindSocket(server.fd, sockaddr(localhost, 8053));
      bindSocket(client.fd, sockaddr(localhost, 8054));
      sendText(client, "question", sockaddr(anywhere, 53));
      const question = nextDatagram(server);
      connectSocket(server.fd, sockaddr(localhost, 8054));
      sendText(server, "answer");
      return [question?.text, nextDatagram(client)];
    });
    expect(seen).toEqual(["question", { text: "answer", from: "127.0.0.1:80" }]);
    mode(collection, 1);
    expect(inside(() => sendText(udp(), "x", sockaddr(localhost, 9)))).toBe("EPERM");
  });

  row("bind4, post_bind4", () => {
    const collection = attach(["bind4", "post_bind4"]);
    const bind = () =>
      inside(() => {
        bindSocket(tcp().fd, sockaddr(localhost, 0));
        return "bound";
      });
    expect(bind()).toBe("bound");
    mode(collection, 1);
    expect(bind()).toBe("EPERM");
    mode(collection, 2);
    expect(bind()).toBe("EPERM");
    expect([countOf(collection, 5), countOf(collection, 6)]).toEqual([3, 2]);
  });

  row("connect6, sendmsg6, bind6", () => {
    const collection = attach(["connect6", "sendmsg6", "bind6"]);
    mode(collection, 1);
    const socket = (type: number) => lab.keep(openSocket(AF.INET6, type)).fd;
    expect(inside(() => connectSocket(socket(SOCK.STREAM), sockaddr6(9)))).toBe("EPERM");
    expect(inside(() => bindSocket(socket(SOCK.STREAM), sockaddr6(8082)))).toBe("EPERM");
    expect(inside(() => sendTo(socket(SOCK.DGRAM), new Uint8Array(1), { to: sockaddr6(9) }))).toBe("EPERM");
    expect([7, 8, 9].map((index) => countOf(collection, index))).toEqual([1, 1, 1]);
  });

  row("sock_create may mark, and deny; sock_release", () => {
    const collection = attach(["sock_create", "sock_release"]);
    const mark = () =>
      inside(() => {
        const socket = openSocket(AF.INET, SOCK.STREAM);
        const bytes = socketOption(socket.fd, { level: SOL.SOCKET, option: SO.MARK });
        socket.close();
        return bytes[0];
      });
    expect(mark()).toBe(0x77);
    expect(countOf(collection, 11)).toBe(1);
    mode(collection, 1);
    expect(mark()).toBe("EPERM");
  });

  row("connect_unix, sendmsg_unix", () => {
    const collection = attach(["connect_unix", "sendmsg_unix"]);
    const stream = `${files}/stream`;
    const datagram = `${files}/datagram`;
    const open = (type: number) => lab.keep(openSocket(AF.UNIX, type));
    const listener = open(SOCK.STREAM);
    bindSocket(listener.fd, sockaddrUnix(stream));
    listenSocket(listener.fd);
    bindSocket(open(SOCK.DGRAM).fd, sockaddrUnix(datagram));
    const connect = () =>
      inside(() => {
        connectSocket(open(SOCK.STREAM).fd, sockaddrUnix(stream));
        return "connected";
      });
    const send = () => inside(() => sendTo(open(SOCK.DGRAM).fd, new Uint8Array(1), { to: sockaddrUnix(datagram) }));
    expect([connect(), send()]).toEqual(["connected", 1]);
    mode(collection, 1);
    expect([connect(), send()]).toEqual(["EPERM", "EPERM"]);
    expect([countOf(collection, 12), countOf(collection, 13)]).toEqual([2, 2]);
  });

  row("cgroup_skb in both directions", () => {
    const collection = attach(["ingress", "egress"]);
    let port = 8090;
    const pass = () =>
      inside(() => {
        const [server, client] = [udp(), udp()];
        bindSocket(server.fd, sockaddr(localhost, ++port));
        connectSocket(client.fd, sockaddr(localhost, port));
        sendText(client, "x");
        return nextDatagram(server)?.text ?? "nothing";
      });
    expect(pass()).toBe("x");
    mode(collection, 1);
    expect(pass()).toBe("nothing");
    mode(collection, 2);
    expect(pass()).toBe("EPERM");
    expect(countOf(collection, 15)).toBe(3);
  });

  row("getsockopt, setsockopt", () => {
    const collection = attach(["getsockopt", "setsockopt"]);
    const name = { level: SOL.SOCKET, option: SO.REUSEADDR };
    const get = () => inside(() => socketOption(tcp().fd, name)[0]);
    const set = () =>
      inside(() => {
        setSocketOption(tcp().fd, name, 1);
        return "set";
      });
    expect([get(), set()]).toEqual([0, "set"]);
    mode(collection, 1);
    expect(get()).toBe("EPERM");
    mode(collection, 2);
    expect(set()).toBe("EPERM");
  });

  row("device", () => {
    const collection = attach(["device"]);
    const open = () => inside(() => openFile("/dev/zero", O.RDONLY).close());
    expect(open()).toBeUndefined();
    mode(collection, 1);
    expect(open()).toBe("EPERM");
    expect(countOf(collection, 18)).toBe(2);
  });

  row("sysctl", () => {
    const collection = attach(["sysctl"]);
    const read = () => inside(() => readFileSync("/proc/sys/net/core/somaxconn", "utf8").trim());
    expect(read()).toMatch(/^\d+$/);
    mode(collection, 1);
    expect(read()).toBe("EPERM");
    expect(countOf(collection, 19)).toBeGreaterThan(1);
  });

  row("several programs on one hook, in the order that was asked for", () => {
    const names = ["order_one", "order_two", "order_three"];
    const collection = lab.load("cgroup", names);
    const target = { hook: "cgroup", path: folder.path } as const;
    const two = lab.keep(lab.bpf.attach(collection.programs["order_two"]!, target));
    lab.keep(lab.bpf.attach(collection.programs["order_three"]!, { ...target, order: "last" }));
    lab.keep(lab.bpf.attach(collection.programs["order_one"]!, { ...target, before: two }));
    inside(() => serve(8085));
    expect(inside(() => connectTo(localhost, 8085))).toBe("connected");
    const value = collection.maps[".bss"]!.get(u32(0))!;
    expect(new DataView(value.buffer).getBigUint64(offsetOf("order"), true)).toBe(123n);
    const queried = lab.bpf.query({ ...target, attachType: "cgroup_inet4_connect" });
    expect(queried.programs.map((each) => each.programId)).toEqual(
      names.map((each) => collection.programs[each]!.info.id),
    );
  });

  row("atomic replacement of a cgroup program", () => {
    const deny = lab.load("cgroup", ["connect4"]);
    const allow = lab.load("cgroup", ["order_one"]);
    const link = lab.keep(lab.bpf.attach(deny.programs["connect4"]!, { hook: "cgroup", path: folder.path }));
    mode(deny, 1);
    inside(() => serve(8086));
    const attempt = () => inside(() => connectTo(localhost, 8086));
    expect(attempt()).toBe("EPERM");
    link.update(allow.programs["order_one"]!);
    expect(attempt()).toBe("connected");
    expect(link.info.programId).toBe(allow.programs["order_one"]!.info.id);
  });

  row("sockops: state, round trips, options in TCP headers", () => {
    const collection = attach(["socket_events"]);
    const done = inside(() => {
      const listener = serve(8087);
      const client = tcp();
      connectSocket(client.fd, sockaddr(localhost, 8087));
      const server = acceptSocket(listener.fd)!;
      const buffer = new Uint8Array(8);
      for (let round = 0; round < 5; round++) {
        sendText(client, "x");
        receive(server.fd, buffer);
        sendText(server, "y");
        receive(client.fd, buffer);
      }
      client.close();
      server.close();
      return "done";
    });
    expect(done).toBe("done");
    for (const index of [20, 21, 22, 23, 24, 25, 26]) {
      expect(countOf(collection, index), `counter ${index}`).toBeGreaterThan(0);
    }
  });
});
