import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openNet, type LinuxNamespace } from "../net/index.ts";
import {
  AF,
  bindSocket,
  connectSocket,
  currentNamespace,
  inNamespace,
  inNewNamespace,
  isReadable,
  receive,
  sendTo,
  openDescriptors,
  openSocket,
  SOCK,
  type Descriptor,
} from "../sys/index.ts";
import type { AttachTarget, Link } from "@skep/machine";
import { add, call, exit, jmp, ldMap, ldx, mem, mov64, r0, r1, r2, r10, st, stx } from "./testing-isa.ts";
import { attachCgroupByCommand, attachClsBpf, attachXdpByNetlink } from "./attach/without-links.ts";
import { testFolder, testName } from "../net/testing.ts";
import { LinuxBpf } from "./machine.ts";
import { NotSupportedError } from "./not-supported.ts";
import { bytes, canUseBpf, mapSpec, number, objectSpec, type SmallProgram } from "./testing.ts";

/** Counts its runs in `count[0]` and gives `verdict`. */
function counting(type: string, verdict: number, attachType?: string): SmallProgram {
  return {
    name: "counting",
    type,
    ...(attachType === undefined ? {} : { attachType }),
    code: [
      st("u32", mem(r10, -4), 0),
      mov64(r2, r10),
      add(r2, -4),
      ldMap(r1, 0),
      call("map_lookup_elem"),
      jmp("jeq", r0, 0, 3),
      ldx("u64", r1, mem(r0)),
      add(r1, 1),
      stx("u64", mem(r0), r1),
      mov64(r0, verdict),
      exit(),
    ],
    references: [{ at: 3, kind: "map", map: "count" }],
  };
}

const PORT = 7777;

/** sockaddr_in of 10.9.0.`last`. */
function address(last: number): Uint8Array {
  return new Uint8Array([AF.INET, 0, PORT >> 8, PORT & 255, 10, 9, 0, last, 0, 0, 0, 0, 0, 0, 0, 0]);
}

function udpSocket(last: number): Descriptor {
  const socket = openSocket(AF.INET, SOCK.DGRAM);
  bindSocket(socket.fd, address(last));
  return socket;
}

const enabled = canUseBpf();

describe.skipIf(!enabled)("links", () => {
  let run = "";
  let host: Descriptor;
  let pod: LinuxNamespace;
  let machine: LinuxBpf;
  let index = 0;
  const name = testName("link");
  const open: { close(): void }[] = [];

  beforeAll(() => {
    run = testFolder("link");
    const outer = openNet({ run });
    const hostSpace = outer.createNamespace(`${name}-host`);
    const net = openNet({ run, netns: hostSpace.path });
    pod = net.createNamespace(`${name}-pod`);
    const { host: near, peer: far } = net.host.createVeth("veth0", { namespace: pod, name: "eth0" });
    index = near.index;
    const prefix = (last: number) => ({
      address: { family: 4 as const, bytes: new Uint8Array([10, 9, 0, last]) },
      length: 24,
    });
    net.host.addAddress(near.index, prefix(1));
    pod.addAddress(far.index, prefix(2));
    net.host.setUp(near.index, true);
    pod.setUp(far.index, true);
    const ip = (last: number) => prefix(last).address;
    net.host.addNeighbour(near.index, ip(2), far.mac);
    pod.addNeighbour(far.index, ip(1), near.mac);
    host = inNamespace(hostSpace.path, currentNamespace);
    machine = new LinuxBpf({ netns: hostSpace.path });
  });
  afterEach(() => {
    for (const each of open.splice(0)) each.close();
  });
  afterAll(() => {
    if (!enabled) return;
    host.close();
    const net = openNet({ run });
    for (const each of [`${name}-pod`, `${name}-host`]) net.deleteNamespace(each);
    rmSync(run, { recursive: true });
  });

  function attached(program: SmallProgram, target: AttachTarget) {
    const collection = machine.load(objectSpec([program], [mapSpec("count", "array", { maxEntries: 1 })]));
    const link = machine.attach(collection.programs["counting"]!, target);
    open.push(link, collection);
    const runs = () => Number(number(collection.maps["count"]!.get(bytes(0, 4))));
    return { link, runs, program: collection.programs["counting"]! };
  }

  /** Whether a datagram from the host to the pod and its answer arrive. */
  function ping(): boolean {
    const here = inNamespace(host, () => udpSocket(1));
    const there = inNamespace(pod.path, () => udpSocket(2));
    try {
      const buffer = new Uint8Array(16);
      sendTo(here.fd, new Uint8Array(4), { to: address(2) });
      if (!isReadable(there.fd, 100)) return false;
      receive(there.fd, buffer);
      sendTo(there.fd, new Uint8Array(4), { to: address(1) });
      return isReadable(here.fd, 100);
    } finally {
      here.close();
      there.close();
    }
  }

  test("tcx programs run in both directions, pass and drop, are ordered, replaced and detached", () => {
    const ingress = attached(counting("sched_cls", -1, "tcx_ingress"), {
      hook: "tcx",
      interface: index,
      direction: "ingress",
    });
    const egress = attached(counting("sched_cls", -1, "tcx_egress"), {
      hook: "tcx",
      interface: index,
      direction: "egress",
    });
    expect(ping()).toBe(true);
    expect(ingress.runs()).toBeGreaterThan(0);
    expect(egress.runs()).toBeGreaterThan(0);
    expect(ingress.link.info).toMatchObject({
      type: "tcx",
      interface: index,
      attachType: "tcx_ingress",
      programId: ingress.program.info.id,
    });
    const drop = attached(counting("sched_cls", 2), {
      hook: "tcx",
      interface: index,
      direction: "ingress",
      order: "first",
    });
    const before = ingress.runs();
    expect(ping()).toBe(false);
    expect(drop.runs()).toBeGreaterThan(0);
    expect(ingress.runs()).toBe(before);
    const next = machine.load(objectSpec([counting("sched_cls", -1)], [mapSpec("count", "array", { maxEntries: 1 })]));
    open.push(next);
    drop.link.update(next.programs["counting"]!);
    expect(drop.link.info.programId).toBe(next.programs["counting"]!.info.id);
    expect(ping()).toBe(true);
    expect(ingress.runs()).toBeGreaterThan(before);
    drop.link.detach();
    drop.link.detach();
    expect(ping()).toBe(true);
  });

  test("a program at the end does not run after a verdict of an earlier one", () => {
    const pass = attached(counting("sched_cls", 0), { hook: "tcx", interface: index, direction: "ingress" });
    const last = attached(counting("sched_cls", 2), {
      hook: "tcx",
      interface: index,
      direction: "ingress",
      order: "last",
    });
    expect(ping()).toBe(true);
    expect(pass.runs()).toBeGreaterThan(0);
    expect(last.runs()).toBe(0);
  });

  test.each(["native", "generic"] as const)("xdp, %s: sees, drops, and closing lets go", (mode) => {
    const drop = attached(counting("xdp", 1, "xdp"), { hook: "xdp", interface: index, mode });
    expect(ping()).toBe(false);
    expect(drop.runs()).toBeGreaterThan(0);
    expect(drop.link.info).toMatchObject({ type: "xdp", interface: index });
    const second = machine.load(
      objectSpec([counting("xdp", 2, "xdp")], [mapSpec("count", "array", { maxEntries: 1 })]),
    );
    open.push(second);
    expect(() => machine.attach(second.programs["counting"]!, { hook: "xdp", interface: index, mode })).toThrow(
      "EBUSY",
    );
    drop.link.close();
    expect(ping()).toBe(true);
  });

  test("an interface that is not there is an error with its number", () => {
    const program = counting("xdp", 2, "xdp");
    expect(() => attached(program, { hook: "xdp", interface: 4_000_000 })).toThrow("interface 4000000");
  });

  test("raw tracepoints fire", () => {
    const { link, runs } = attached(counting("raw_tracepoint", 0), { hook: "raw_tracepoint", name: "sys_enter" });
    process.kill(process.pid, 0);
    expect(runs()).toBeGreaterThan(0);
    expect(link.info).toMatchObject({ type: "raw_tracepoint", target: "sys_enter" });
    expect(() => attached(counting("raw_tracepoint", 0), { hook: "raw_tracepoint", name: "no_such" })).toThrow(
      "ENOENT",
    );
  });

  test("a pinned link outlives its handle, is found again, and ends by detach", () => {
    const pins = `${run}/bpf`;
    const { mountPoint } = machine.preparePins(pins);
    try {
      const { link } = attached(counting("sched_cls", 2), { hook: "tcx", interface: index, direction: "ingress" });
      link.pin(`${pins}/drop`);
      link.close();
      expect(ping()).toBe(false);
      const again = machine.openLink(`${pins}/drop`) as Link;
      open.push(again);
      expect(again.info.type).toBe("tcx");
      again.detach();
      machine.unpin(`${pins}/drop`);
      expect(ping()).toBe(true);
    } finally {
      machine.removePins(pins);
      if (mountPoint) spawnSync("umount", [mountPoint]);
    }
  });

  test("cgroup programs deny what processes in the cgroup do", async () => {
    const { openProcesses } = await import("../processes/index.ts");
    const processes = openProcesses();
    const cgroup = processes.createCgroup(name);
    try {
      const deny = attached(counting("cgroup_sock_addr", 0, "cgroup_inet4_connect"), {
        hook: "cgroup",
        path: cgroup.path,
      });
      const script = `echo $$ > ${cgroup.path}/cgroup.procs; exec 3<>/dev/tcp/127.0.0.1/9`;
      const result = spawnSync("bash", ["-c", script], { encoding: "utf8" });
      expect(result.stderr).toContain("Operation not permitted");
      expect(deny.runs()).toBe(1);
      expect(deny.link.info).toMatchObject({ type: "cgroup", cgroupId: cgroup.id, attachType: "cgroup_inet4_connect" });
      const here = openSocket(AF.INET, SOCK.DGRAM);
      connectSocket(here.fd, new Uint8Array([2, 0, 0, 9, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
      here.close();
      expect(deny.runs()).toBe(1);
    } finally {
      for (const each of open.splice(0)) each.close();
      await processes.deleteCgroup(name);
    }
  });

  test("a program without an attach type is refused for a cgroup", () => {
    expect(() => attached(counting("cgroup_skb", 1), { hook: "cgroup", path: "/sys/fs/cgroup" })).toThrow(
      "its spec names no attach type",
    );
  });

  describe("as kernels without links attach", () => {
    const context = { inHost: <T>(run: () => T): T => inNamespace(host, run) };
    const loaded = (program: SmallProgram) => {
      const collection = machine.load(objectSpec([program], [mapSpec("count", "array", { maxEntries: 1 })]));
      open.push(collection);
      const runs = () => Number(number(collection.maps["count"]!.get(bytes(0, 4))));
      return { program: collection.programs["counting"]!, runs };
    };

    test("cls_bpf: several in order, replaced, taken off", () => {
      const target = { hook: "tcx", interface: index, direction: "ingress" } as const;
      const pass = loaded(counting("sched_cls", -1));
      const drop = loaded(counting("sched_cls", 2));
      const next = loaded(counting("sched_cls", -1));
      const first = attachClsBpf(pass.program, target, context);
      const second = attachClsBpf(drop.program, { ...target, order: "first" }, context);
      expect(ping()).toBe(false);
      expect([pass.runs(), drop.runs() > 0]).toEqual([0, true]);
      second.update(next.program);
      expect(ping()).toBe(true);
      expect([pass.runs() > 0, next.runs() > 0]).toEqual([true, true]);
      expect(second.info).toMatchObject({ type: "tc", programId: next.program.info.id });
      expect(() => second.pin("/x")).toThrow("pinning a tc");
      first.close();
      second.close();
      const before = next.runs();
      expect(ping()).toBe(true);
      expect(next.runs()).toBe(before);
      expect(() => attachClsBpf(pass.program, { ...target, before: drop.program }, context)).toThrow(NotSupportedError);
    });

    test("XDP through netlink", () => {
      const drop = loaded(counting("xdp", 1, "xdp"));
      const pass = loaded(counting("xdp", 2, "xdp"));
      const target = { hook: "xdp", interface: index, mode: "generic" } as const;
      const link = attachXdpByNetlink(drop.program, target, context);
      expect(ping()).toBe(false);
      expect(() => attachXdpByNetlink(pass.program, target, context)).toThrow("EBUSY");
      link.update(pass.program);
      expect(ping()).toBe(true);
      link.close();
      const before = pass.runs();
      ping();
      expect(pass.runs()).toBe(before);
    });

    test("cgroup programs by command", async () => {
      const { openProcesses } = await import("../processes/index.ts");
      const processes = openProcesses();
      const cgroup = processes.createCgroup(`${name}-command`);
      try {
        const target = { hook: "cgroup", path: cgroup.path } as const;
        const deny = loaded(counting("cgroup_sock_addr", 0, "cgroup_inet4_connect"));
        const allow = loaded(counting("cgroup_sock_addr", 1, "cgroup_inet4_connect"));
        const link = attachCgroupByCommand(deny.program, target);
        const attempt = () =>
          spawnSync("bash", ["-c", `echo $$ > ${cgroup.path}/cgroup.procs; exec 3<>/dev/tcp/127.0.0.1/9`], {
            encoding: "utf8",
          }).stderr;
        expect(attempt()).toContain("Operation not permitted");
        link.update(allow.program);
        expect(attempt()).toContain("Connection refused");
        expect(allow.runs()).toBe(1);
        link.close();
        attempt();
        expect(allow.runs()).toBe(1);
      } finally {
        await processes.deleteCgroup(`${name}-command`);
      }
    });
  });

  test("opening and closing everything many times leaves no descriptor", () => {
    const before = openDescriptors();
    for (let round = 0; round < 30; round++) {
      attached(counting("sched_cls", -1), { hook: "tcx", interface: index, direction: "ingress" });
      for (const each of open.splice(0)) each.close();
      inNewNamespace(() => {});
    }
    expect(openDescriptors()).toBe(before);
  });
});
