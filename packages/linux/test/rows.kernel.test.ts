import { readFileSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { mapFlags } from "@skep/isa";
import type { ObjectSpec } from "@skep/object";
import { createMap } from "../src/bpf/map-create.ts";
import { bytes, canUseBpf, mapSpec, number } from "../src/bpf/testing.ts";
import { ids, mapById, programById, unmountPins, type LinuxMap } from "../src/bpf/index.ts";
import { openTun } from "../src/net/index.ts";
import { addRoute, createLink, deleteLink, findLink, listRoutes, NetlinkSocket } from "../src/netlink/index.ts";
import { testName } from "../src/net/testing.ts";
import { openProcesses } from "../src/processes/index.ts";
import {
  AF,
  bindSocket,
  connectSocket,
  type Descriptor,
  inNamespace,
  isReadable,
  openDescriptors,
  openSocket,
  rawSyscall,
  receiveFrom,
  Scratch,
  sendTo,
  SOCK,
  socketName,
} from "../src/sys/index.ts";
import { countOf, Lab, printTable, refusedRow, row, testObject, u32 } from "./lab.ts";

const enabled = canUseBpf();
printTable("Further hooks and maps");

/** fc00:NUMBER::1 */
const segment = (number: number): Uint8Array =>
  Uint8Array.from([0xfc, 0, 0, number, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);

/** An IPv6 packet at the first of two segments, without more (RFC 8754). */
const segmentPacket = [
  ...[0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, 43, 64],
  ...segment(9),
  ...segment(1),
  ...[59, 4, 4, 1, 1, 0, 0, 0],
  ...segment(2),
  ...segment(1),
];

describe.skipIf(!enabled)("further hooks and maps", () => {
  let lab: Lab;
  const processes = openProcesses();
  const name = testName("rows");

  beforeAll(() => {
    lab = new Lab("rows");
  });
  afterEach(() => lab.reset());
  afterAll(async () => {
    if (!enabled) return;
    lab.close();
    await processes.deleteCgroup(name);
    expect(openDescriptors()).toBe(0);
  });

  const attachTap = (index: number, mode: "native" | "generic" | "hardware") => {
    const collection = lab.load("rows", ["passes"]);
    const link = lab.keep(lab.bpf.attach(collection.programs["passes"]!, { hook: "xdp", interface: index, mode }));
    return { collection, link };
  };

  row("XDP on a tap, native and generic", () => {
    const tap = lab.keep(inNamespace(lab.host.path, () => openTun({ mode: "tap", name: "tap0" })));
    const { index } = lab.host.interface("tap0")!;
    lab.host.setUp(index, true);
    const frame = new Uint8Array(64);
    frame.set([255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 0]);
    for (const mode of ["native", "generic"] as const) {
      const { collection, link } = attachTap(index, mode);
      expect(link.info).toMatchObject({ type: "xdp", interface: index });
      tap.write(frame);
      expect(countOf(collection, 8)).toBe(1);
      link.close();
    }
  });

  refusedRow("XDP on the card of a tap", "NotSupportedError", () => {
    lab.keep(inNamespace(lab.host.path, () => openTun({ mode: "tap", name: "tap1" })));
    attachTap(lab.host.interface("tap1")!.index, "hardware");
  });

  row("tcx on a vxlan device", () => {
    const index = inNamespace(lab.host.path, () => {
      const socket = lab.keep(NetlinkSocket.open());
      createLink(socket, { name: "vx1", kind: "vxlan", data: { collectMetadata: 1, port: 4790 }, up: true } as never);
      return findLink(socket, "vx1")!.index;
    });
    try {
      const collection = lab.load("rows", ["seen"]);
      const target = { hook: "tcx", interface: index, direction: "egress" } as const;
      const link = lab.keep(lab.bpf.attach(collection.programs["seen"]!, target));
      expect(lab.bpf.query(target).programs).toEqual([
        { programId: collection.programs["seen"]!.info.id, linkId: link.info.id },
      ]);
      inNamespace(lab.host.path, () => {
        const socket = lab.keep(openSocket(AF.PACKET, SOCK.RAW, 0));
        const address = new Uint8Array(20);
        address.set([AF.PACKET, 0, 8, 0]);
        new DataView(address.buffer).setInt32(4, index, true);
        sendTo(socket.fd, new Uint8Array(64), { to: address });
      });
      expect(countOf(collection, 7)).toBe(1);
    } finally {
      inNamespace(lab.host.path, () => {
        const socket = NetlinkSocket.open();
        deleteLink(socket, index);
        socket.close();
      });
    }
  });

  row("a program on a route of IPv6 segments (lwt_seg6local, End.BPF)", () => {
    const collection = lab.load("rows", ["segment"]);
    const [near, far] = [lab.namespace("near"), lab.namespace("far")];
    for (const space of [near, far]) space.setSysctl("net/ipv6/conf/default/accept_dad", "0");
    const { host: out, peer: arriving } = near.createVeth("out", { namespace: far, name: "in" });
    near.setUp(out.index, true);
    far.setUp(arriving.index, true);
    for (const each of ["all", "in"]) {
      far.setSysctl(`net/ipv6/conf/${each}/forwarding`, "1");
      far.setSysctl(`net/ipv6/conf/${each}/seg6_enabled`, "1");
    }
    const program = collection.programs["segment"]!;
    const destination = { address: { family: 6 as const, bytes: segment(1) }, length: 128 };
    const route = { destination, interface: arriving.index, segment: { fd: program.fd, name: "segment" } };
    const listed = inNamespace(far.path, () => {
      const socket = lab.keep(NetlinkSocket.open());
      addRoute(socket, route);
      return listRoutes(socket).find((each) => each.segment !== undefined);
    });
    expect(listed?.segment).toEqual({ name: "segment" });
    inNamespace(near.path, () => {
      const socket = lab.keep(openSocket(AF.PACKET, SOCK.RAW, 0));
      const address = new Uint8Array(20);
      address.set([AF.PACKET, 0, 0x86, 0xdd]);
      new DataView(address.buffer).setInt32(4, out.index, true);
      sendTo(socket.fd, new Uint8Array([...arriving.mac, ...out.mac, ...segmentPacket]), { to: address });
    });
    expect(countOf(collection, 6)).toBe(1);
    expect(() => program.test({ data: new Uint8Array(74) })).toThrow("ENOTSUPP");
  });

  /** With this process in a cgroup of its own. */
  function inside<T>(run: () => T): T {
    const home = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
    const { path } = processes.createCgroup(name);
    writeFileSync(`${path}/cgroup.procs`, String(process.pid));
    try {
      return inNamespace(lab.host.path, run);
    } finally {
      writeFileSync(`${processes.cgroupRoot}${home}/cgroup.procs`, String(process.pid));
    }
  }

  row("recvmsg6: the port that a datagram came from", () => {
    const { path } = processes.createCgroup(name);
    const collection = lab.load("rows", ["recvmsg6"]);
    lab.keep(lab.bpf.attach(collection.programs["recvmsg6"]!, { hook: "cgroup", path }));
    const from = inside(() => {
      const socket = () => lab.keep(openSocket(AF.INET6, SOCK.DGRAM));
      const [server, client] = [socket(), socket()];
      const any = new Uint8Array(28);
      any.set([AF.INET6, 0]);
      any[23] = 1;
      bindSocket(server.fd, any);
      connectSocket(client.fd, socketName(server.fd));
      sendTo(client.fd, new Uint8Array(1));
      expect(isReadable(server.fd, 500)).toBe(true);
      return receiveFrom(server.fd, new Uint8Array(8))!.from;
    });
    expect(new DataView(from.buffer, from.byteOffset).getUint16(2)).toBe(4242);
    expect(countOf(collection, 0)).toBe(1);
  });

  row("a cgroup program at the root of the hierarchy", () => {
    const collection = lab.load("rows", ["anywhere"]);
    lab.keep(lab.bpf.attach(collection.programs["anywhere"]!, { hook: "cgroup", path: processes.cgroupRoot }));
    const opened: Descriptor = lab.keep(openSocket(AF.INET, SOCK.DGRAM));
    expect(opened.isClosed).toBe(false);
    expect(countOf(collection, 2)).toBeGreaterThan(0);
  });

  row("bpf_copy_from_user in a program that user space runs", () => {
    const collection = lab.load("rows", ["copies"]);
    const text = new Scratch(8);
    text.view.setBigUint64(0, 0x70656b73n, true);
    const context = new Uint8Array(8);
    new DataView(context.buffer).setBigUint64(0, text.address, true);
    expect(collection.programs["copies"]!.test({ context }).returned).toBe(0);
    expect(countOf(collection, 3)).toBe(0x70656b73);
    new DataView(context.buffer).setBigUint64(0, 8n, true);
    expect(collection.programs["copies"]!.test({ context }).returned).toBe(1);
  });

  row("software counters that a program reads", () => {
    const collection = lab.load("rows", ["reads_counter"]);
    lab.keep(collection.maps["counters"]!.countEvents("task_clock"));
    const bss = collection.maps[".bss"]!;
    bss.set(u32(0), u32(process.pid));
    lab.keep(lab.bpf.attach(collection.programs["reads_counter"]!, { hook: "raw_tracepoint", name: "sys_enter" }));
    rawSyscall("getpid");
    const first = countOf(collection, 4);
    for (let at = 0; at < 2000; at++) rawSyscall("getpid");
    expect(countOf(collection, 5)).toBeGreaterThan(2000);
    expect(countOf(collection, 4)).toBeGreaterThan(first);
    expect(() => collection.maps["counts"]!.countEvents("task_clock")).toThrow("no perf event array");
  });

  refusedRow("hardware counters that a program reads", "NotSupportedError", () => {
    const collection = lab.load("rows", ["reads_counter"]);
    lab.keep(collection.maps["counters"]!.countEvents("cycles"));
  });

  refusedRow("a tracepoint that this kernel lacks (tp_btf/oom_mark_victim)", "NotSupportedError", () => {
    lab.load("rows", ["absent"]);
  });

  refusedRow("fentry on another BPF program", "NotSupportedError", () => {
    const base = lab.load("xdp", ["pass"]);
    lab.load("rows", ["of_program"], { targets: { of_program: base.programs["pass"]! } });
  });

  refusedRow("kprobe.session", "NotSupportedError", () => {
    const collection = lab.load("rows", ["session"]);
    const target = { hook: "kprobe_multi", functions: ["tcp_v4_connect"] } as const;
    lab.keep(lab.bpf.attach(collection.programs["session"]!, target));
  });

  /** The object of the congestion control with the struct of another kind. */
  function structOps(typeName: string): ObjectSpec {
    const spec = testObject("struct_ops");
    const map = spec.maps["steady"]!;
    return { ...spec, maps: { ...spec.maps, steady: { ...map, structOps: { ...map.structOps!, typeName } } } };
  }

  for (const typeName of ["Qdisc_ops", "sched_ext_ops", "hid_bpf_ops"]) {
    refusedRow(`struct_ops ${typeName}`, "NotSupportedError", () => {
      lab.keep(lab.bpf.load(structOps(typeName)));
    });
  }

  // ---- maps ----

  const make = (type: string, rest: Parameters<typeof mapSpec>[2] = {}): LinuxMap =>
    lab.keep(createMap(mapSpec(type, type, { maxEntries: 300, ...rest })));
  const keys = Array.from({ length: 200 }, (_, at) => bytes(at, 4));
  const sum = (entries: Iterable<readonly [Uint8Array, Uint8Array]>): number => {
    let total = 0;
    for (const [, value] of entries) total += Number(number(value));
    return total;
  };
  const expected = (199 * 200) / 2;

  for (const type of ["hash", "lru_hash", "percpu_hash", "lru_percpu_hash"]) {
    row(`${type}: many at once, set, read, taken, deleted`, () => {
      // The least recently used go early: room for all on whichever CPU.
      const map = make(type, { maxEntries: 4096 });
      const value = (at: number) => {
        const whole = new Uint8Array(map.copiedSize);
        whole.set(bytes(at, 8));
        return whole;
      };
      const rows = keys.map((key, at) => [key, value(at)] as const);
      map.setAll(rows);
      expect(sum(map.entries())).toBe(expected);
      expect(sum(map.takeAll())).toBe(expected);
      expect([...map.entries()]).toEqual([]);
      map.setAll(rows);
      map.deleteAll(keys);
      expect(map.takeAll()).toEqual([]);
    });
  }

  for (const type of ["array", "percpu_array"]) {
    row(`${type}: many at once, set and read`, () => {
      const map = make(type, { maxEntries: 200 });
      const rows = keys.map((key, at) => {
        const whole = new Uint8Array(map.copiedSize);
        whole.set(bytes(at, 8));
        return [key, whole] as const;
      });
      map.setAll(rows);
      expect(sum(map.entries())).toBe(expected);
      expect(() => map.deleteAll(keys.slice(0, 1))).toThrow(/EINVAL|ENOTSUPP/);
    });
  }

  row("lpm_trie: many at once, set, read, deleted, taken one by one", () => {
    const map = make("lpm_trie", { keySize: 8, flags: mapFlags.no_prealloc });
    const rows = keys.map((key, at) => [new Uint8Array([...u32(32), ...key]), bytes(at, 8)] as const);
    map.setAll(rows);
    expect(sum(map.entries())).toBe(expected);
    map.deleteAll(rows.slice(0, 100).map(([key]) => key));
    expect(map.takeAll()).toHaveLength(100);
    expect([...map.entries()]).toEqual([]);
  });

  row("devmap_hash, without batches: the same operations", () => {
    const map = inNamespace(lab.host.path, () => make("devmap_hash", { valueSize: 4 }));
    inNamespace(lab.host.path, () => map.setAll(keys.slice(0, 10).map((key) => [key, u32(1)] as const)));
    expect([...map.entries()]).toHaveLength(10);
    expect(map.takeAll()).toHaveLength(10);
    map.deleteAll(keys.slice(0, 10));
  });

  row("a frozen map", () => {
    const map = make("array", { maxEntries: 1 });
    map.set(u32(0), bytes(3, 8));
    map.freeze();
    expect(() => map.set(u32(0), bytes(4, 8))).toThrow("EPERM");
    expect(() => map.setAll([[u32(0), bytes(4, 8)]])).toThrow("EPERM");
    expect(number(map.get(u32(0)))).toBe(3n);
    return "works; writing: EPERM";
  });

  row("pins of maps, programs and links; ids and descriptions", () => {
    const folder = `${lab.run}/bpf`;
    const { mountPoint } = lab.bpf.preparePins(folder);
    try {
      const { programs, maps } = lab.load("rows", ["reads_counter"]);
      const [map, program] = [maps["counts"]!, programs["reads_counter"]!];
      const link = lab.keep(lab.bpf.attach(program, { hook: "raw_tracepoint", name: "sys_enter" }));
      map.pin(`${folder}/map`);
      program.pin(`${folder}/program`);
      link.pin(`${folder}/link`);
      expect(lab.bpf.pins(folder)).toEqual(["link", "map", "program"]);
      expect(lab.keep(lab.bpf.openMap(`${folder}/map`)!).info).toEqual(map.info);
      expect(lab.keep(lab.bpf.openProgram(`${folder}/program`)!).info.id).toBe(program.info.id);
      expect(lab.keep(lab.bpf.openLink(`${folder}/link`)!).info).toEqual(link.info);
      for (const [kind, id] of [
        ["map", map.info.id],
        ["program", program.info.id],
        ["link", link.info.id],
      ] as const)
        expect([...ids(kind)]).toContain(id);
      expect(lab.keep(mapById(map.info.id)!).info.name).toBe("counts");
      expect(lab.keep(programById(program.info.id)!).info.tag).toBe(program.info.tag);
    } finally {
      lab.bpf.removePins(folder);
      if (mountPoint !== undefined) unmountPins(mountPoint);
    }
  });

  row("a hash of four million entries that are allocated as they come", () => {
    const map = make("hash", { maxEntries: 4_000_000, flags: mapFlags.no_prealloc });
    map.set(u32(1), bytes(1, 8));
    expect(map.info.maxEntries).toBe(4_000_000);
  });
});
