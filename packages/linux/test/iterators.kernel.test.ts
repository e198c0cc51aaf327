import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { canUseBpf } from "../src/bpf/testing.ts";
import { createMap } from "../src/bpf/map-create.ts";
import { bytes, mapSpec } from "../src/bpf/testing.ts";
import { ids, readIterator } from "../src/bpf/index.ts";
import { testName } from "../src/net/testing.ts";
import { openProcesses } from "../src/processes/index.ts";
import {
  AF,
  bindSocket,
  inNamespace,
  isReadable,
  openDescriptors,
  openSocket,
  SOCK,
  receive,
  setSocketOption,
  socketName,
} from "../src/sys/index.ts";
import type { AttachTarget } from "@skep/machine";
import { countOf, Lab, printTable, readSockaddr, row, sendText } from "./lab.ts";

const enabled = canUseBpf();
printTable("Iterators, struct_ops and system calls");

describe.skipIf(!enabled)("iterators and struct_ops", () => {
  let lab: Lab;

  beforeAll(() => {
    lab = new Lab("iter");
  });
  afterEach(() => lab.reset());
  afterAll(() => {
    if (!enabled) return;
    lab.close();
    expect(openDescriptors()).toBe(0);
  });

  function lines(program: string, target: Omit<Extract<AttachTarget, { hook: "iterator" }>, "hook"> = {}, config = {}) {
    const collection = lab.load("iterators", [program], { config });
    const link = lab.keep(lab.bpf.attach(collection.programs[program]!, { hook: "iterator", ...target }));
    expect(link.info.type).toBe("iter");
    return { lines: new TextDecoder().decode(readIterator(link)).split("\n").slice(0, -1), collection, link };
  }

  row("iter/task: every process; one process alone", () => {
    const all = lines("tasks").lines.map(Number);
    expect(all).toContain(process.pid);
    expect(all).toContain(process.ppid);
    const own = lines("tasks", { task: { pid: process.pid } }).lines.map(Number);
    expect(new Set(own)).toEqual(new Set([process.pid]));
  });

  row("iter/task_file, iter/task_vma", () => {
    const own = { task: { pid: process.pid } };
    expect(lines("files", own).lines.length).toBeGreaterThan(3);
    expect(lines("areas", own).lines.length).toBeGreaterThan(10);
  });

  row("iter/bpf_map, bpf_prog, bpf_link: what the ids say as well", () => {
    const map = lab.keep(createMap(mapSpec("listed", "hash")));
    expect(lines("maps").lines.map(Number)).toContain(map.info.id);
    const programs = lines("programs");
    expect(programs.lines.map(Number)).toContain(programs.collection.programs["programs"]!.info.id);
    const links = lines("links");
    expect(links.lines.map(Number)).toContain(links.link.info.id);
    expect([...ids("map")]).toContain(map.info.id);
    expect([...ids("link")]).toContain(links.link.info.id);
  });

  row("iter/bpf_map_elem", () => {
    const map = lab.keep(createMap(mapSpec("elements", "hash")));
    for (const at of [1, 2, 3]) map.set(bytes(at, 4), bytes(at * 10, 8));
    expect(lines("elements", { map }).lines.sort()).toEqual(["1=10", "2=20", "3=30"]);
  });

  row("iter/cgroup: one and those below it", async () => {
    const processes = openProcesses();
    const name = testName("iter");
    const top = processes.createCgroup(name);
    const below = processes.createCgroup(`${name}/below`);
    try {
      const walk = (order: "self" | "descendants_pre") =>
        lines("cgroups", { cgroup: { path: top.path, order } }).lines.map(BigInt);
      expect(walk("self")).toEqual([top.id]);
      expect(walk("descendants_pre")).toEqual([top.id, below.id]);
    } finally {
      await processes.deleteCgroup(name);
    }
  });

  row("iter/tcp and bpf_sock_destroy", () => {
    const inHost = <T>(run: () => T) => inNamespace(lab.host.path, run);
    const listener = lab.listen(lab.host, [127, 0, 0, 1], 7201);
    expect(inHost(() => lines("tcp")).lines.map(Number)).toContain(7201);
    const client = lab.connect(lab.host, [127, 0, 0, 1], 7201);
    expect(lab.accept(listener)).not.toBeNull();
    const { collection } = inHost(() => lines("destroy", {}, { doomed: 7201 }));
    expect(countOf(collection, 0)).toBeGreaterThan(0);
    expect(typeof client).toBe("object");
    if (typeof client === "object") expect(() => sendText(client, "x")).toThrow(/ECONNRESET|EPIPE|ECONNABORTED/);
  });

  for (const name of ["udp", "unix", "netlink", "ipv6_route", "ksym", "kmem_cache", "dmabuf"]) {
    row(`iter/${name}`, () => {
      lab.udp(lab.host, [127, 0, 0, 1], 7202);
      const unix = lab.keep(inNamespace(lab.host.path, () => openSocket(AF.UNIX, SOCK.DGRAM)));
      bindSocket(unix.fd, new Uint8Array([AF.UNIX, 0, 0, 0x73, 0x6b, 0x65, 0x70]));
      const found = inNamespace(lab.host.path, () => lines(`any_${name}`)).lines.length;
      if (["udp", "unix", "netlink", "ksym", "kmem_cache"].includes(name)) expect(found).toBeGreaterThan(0);
      return `works: ${found} objects`;
    });
  }

  row("struct_ops: a congestion control of our own, used by a socket", () => {
    const collection = lab.load("struct_ops", ["ssthresh", "cong_avoid", "undo_cwnd"]);
    const link = lab.keep(lab.bpf.attachStructOps(collection.maps["steady"]!));
    expect(link.info).toMatchObject({ type: "struct_ops", mapId: collection.maps["steady"]!.info.id });
    useCongestionControl("skep_steady");
    expect(countOf(collection, 0)).toBeGreaterThan(0);
    link.close();
    expect(() => useCongestionControl("skep_steady")).toThrow("ENOENT");
  });

  function useCongestionControl(name: string): void {
    const TCP_CONGESTION = 13;
    const IPPROTO_TCP = 6;
    const listener = lab.listen(lab.host, [127, 0, 0, 1], 0);
    const port = Number(readSockaddr(socketName(listener.fd)).split(":")[1]);
    const client = lab.connect(lab.host, [127, 0, 0, 1], port);
    const server = lab.accept(listener);
    if (typeof client === "string" || !server) throw new Error("no connection");
    setSocketOption(client.fd, { level: IPPROTO_TCP, option: TCP_CONGESTION }, new TextEncoder().encode(name));
    const buffer = new Uint8Array(4096);
    for (let round = 0; round < 50; round++) {
      sendText(client, "x".repeat(1000));
      isReadable(server.fd, 100);
      receive(server.fd, buffer);
    }
  }

  row("syscall programs", () => {
    const collection = lab.load("maps", ["emit"]);
    const context = new Uint8Array(16);
    new DataView(context.buffer).setUint32(8, 3, true);
    expect(collection.programs["emit"]!.test({ context }).returned).toBe(0);
    const ring = collection.maps["ring"]!.readRing(() => {});
    expect(ring.drain()).toBe(3);
    ring.close();
  });
});
