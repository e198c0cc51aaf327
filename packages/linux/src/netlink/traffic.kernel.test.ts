import { execFileSync } from "node:child_process";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { LinuxBpf, type LinuxProgram } from "../bpf/index.ts";
import { canUseBpf, objectSpec } from "../bpf/testing.ts";
import { exit, mov64, r0 } from "@skep/isa";
import type { LinuxNamespace } from "../net/index.ts";
import {
  addBpfFilter,
  addClass,
  addQdisc,
  changeLink,
  deleteClass,
  deleteFilter,
  deleteQdisc,
  findLink,
  handle,
  handles,
  listClasses,
  listFilters,
  listQdiscs,
  setXdp,
  UnknownQdiscError,
  xdpFlags,
} from "./index.ts";
import { canCompare, codeOf, iproute, makeVeth, openStage, type Stage } from "./testing.ts";

const canLoad = canUseBpf();

describe.skipIf(!canCompare())("traffic control beside tc", () => {
  let stage: Stage;
  let space: LinuxNamespace;
  let index: number;
  beforeAll(async () => {
    stage = await openStage();
  });
  beforeEach(() => {
    space = stage.make("traffic");
    index = makeVeth(space);
  });
  afterEach(() => stage.clear());
  afterAll(() => stage.close());

  test("an htb tree with classes", () => {
    space.netlink((socket) => {
      addQdisc(socket, { kind: "htb", index, handle: handle(1), options: { defaultClass: 0x30 } });
      addClass(socket, { kind: "htb", index, parent: handle(1), handle: handle(1, 1), options: { rate: 12_500_000 } });
      addClass(socket, {
        kind: "htb",
        index,
        parent: handle(1, 1),
        handle: handle(1, 0x30),
        options: { rate: 2_500_000, ceil: 12_500_000, burst: 15_000, priority: 3, quantum: 3000 },
      });
      // Beyond 32 bits of bytes a second.
      addClass(socket, {
        kind: "htb",
        index,
        parent: handle(1, 1),
        handle: handle(1, 0x40),
        options: { rate: 12_500_000_000 },
      });
    });
    const [qdisc] = iproute(space, "tc -d qdisc show dev a");
    expect(qdisc).toMatchObject({ kind: "htb", handle: "1:", root: true, options: { r2q: 10, default: "0x30" } });
    // tc 6.1 prints classes as text only.
    const shown = space.run(() => execFileSync("tc", ["class", "show", "dev", "a"], { encoding: "utf8" })).split("\n");
    expect(shown).toContainEqual(
      expect.stringMatching(/^class htb 1:1 root rate 100Mbit ceil 100Mbit burst 1600b cburst 1600b/),
    );
    expect(shown).toContainEqual(
      expect.stringMatching(
        /^class htb 1:30 parent 1:1 (leaf \w+: )?prio 3 rate 20Mbit ceil 100Mbit burst 15000b cburst 1600b/,
      ),
    );
    expect(shown).toContainEqual(expect.stringMatching(/^class htb 1:40 .*rate 100Gbit ceil 100Gbit/));

    space.netlink((socket) => {
      const classes = listClasses(socket, index);
      expect(classes).toHaveLength(3);
      const leaf = classes.find((each) => each.handle === handle(1, 0x30))!;
      expect(leaf).toMatchObject({
        kind: "htb",
        parent: handle(1, 1),
        options: { rate: 2_500_000, ceil: 12_500_000, priority: 3 },
      });
      expect(Math.abs(leaf.options!.burst! - 15_000)).toBeLessThan(10);
      expect(classes.find((each) => each.handle === handle(1, 0x40))!.options!.rate).toBe(12_500_000_000);
      const changed = {
        kind: "htb",
        index,
        parent: handle(1, 1),
        handle: handle(1, 0x30),
        options: { rate: 5_000_000 },
      } as const;
      expect(codeOf(() => addClass(socket, changed))).toBe("EEXIST");
      addClass(socket, changed, { replace: true });
      expect(listClasses(socket, index).find((each) => each.handle === handle(1, 0x30))!.options!.rate).toBe(5_000_000);
      expect(deleteClass(socket, { index, handle: handle(1, 0x30) })).toBe(true);
      expect(deleteClass(socket, { index, handle: handle(1, 0x30) })).toBe(false);
      expect(deleteQdisc(socket, { index })).toBe(true);
      expect(listClasses(socket, index)).toEqual([]);
    });
  });

  test("tbf, pfifo, and what replaces what", () => {
    space.netlink((socket) => {
      addQdisc(socket, {
        kind: "tbf",
        index,
        handle: handle(5),
        options: { rate: 1_250_000, burst: 5000, limit: 20_000 },
      });
      expect(codeOf(() => addQdisc(socket, { kind: "pfifo", index, handle: handle(6), options: { limit: 7 } }))).toBe(
        "EEXIST",
      );
      expect(codeOf(() => addQdisc(socket, { kind: "tbf", index, options: { rate: 1, burst: 1, limit: 1 } }))).toBe(
        "EEXIST",
      );
    });
    const [tbf] = iproute(space, "tc qdisc show dev a");
    expect(tbf).toMatchObject({ kind: "tbf", handle: "5:", options: { rate: 1_250_000 } });
    expect(Math.abs(Number((tbf!["options"] as { burst: number }).burst) - 5000)).toBeLessThan(5);
    space.netlink((socket) => {
      const [found] = listQdiscs(socket, { index });
      expect(found).toMatchObject({
        kind: "tbf",
        handle: handle(5),
        parent: handles.root,
        options: { rate: 1_250_000, limit: 20_000 },
      });
      addQdisc(socket, { kind: "pfifo", index, handle: handle(6), options: { limit: 7 } }, { replace: true });
      expect(listQdiscs(socket, { index })).toMatchObject([{ kind: "pfifo", options: { limit: 7 } }]);
    });
    expect(iproute(space, "tc qdisc show dev a")).toMatchObject([{ kind: "pfifo", options: { limit: 7 } }]);
  });

  test("clsact beside a root qdisc", () => {
    space.netlink((socket) => {
      addQdisc(socket, { kind: "clsact", index });
      expect(codeOf(() => addQdisc(socket, { kind: "clsact", index }))).toBe("EEXIST");
    });
    expect(iproute(space, "tc qdisc show dev a")).toContainEqual(
      expect.objectContaining({ kind: "clsact", handle: "ffff:", parent: "ffff:fff1" }),
    );
    space.netlink((socket) => {
      expect(
        listQdiscs(socket, { index })
          .map(({ kind }) => kind)
          .sort(),
      ).toEqual(["clsact", "noqueue"]);
      expect(deleteQdisc(socket, { index, parent: handles.clsact })).toBe(true);
      expect(deleteQdisc(socket, { index, parent: handles.clsact })).toBe(false);
    });
  });

  test.each(["fq", "fq_codel", "netem", "nosuchqdisc"])("a qdisc of kind %s is made or refused by name", (type) => {
    const make = () => space.netlink((socket) => addQdisc(socket, { kind: "other", type, index }));
    let refused: unknown = null;
    try {
      make();
    } catch (error) {
      refused = error;
    }
    const kinds = iproute(space, "tc qdisc show dev a").map((each) => each["kind"]);
    if (refused === null) expect(kinds).toContain(type);
    else {
      expect(refused).toBeInstanceOf(UnknownQdiscError);
      expect((refused as Error).message).toBe(`this kernel has no queueing discipline ${type}`);
      expect(kinds).toEqual(["noqueue"]);
    }
  });

  describe.skipIf(!canLoad)("BPF programs by descriptor", () => {
    const bpf = new LinuxBpf();
    const loaded: { close(): void }[] = [];
    afterEach(() => {
      for (const each of loaded.splice(0)) each.close();
    });

    /** A program that returns `result`. */
    function program(type: "sched_cls" | "xdp", result: number): LinuxProgram {
      const collection = bpf.load(objectSpec([{ name: "verdict", type, code: [mov64(r0, result), exit()] }]));
      loaded.push(collection);
      return collection.programs["verdict"] as LinuxProgram;
    }

    test("direct-action filters at both hooks, replaced and deleted", () => {
      const [first, second] = [program("sched_cls", 0), program("sched_cls", 2)];
      space.netlink((socket) => {
        addQdisc(socket, { kind: "clsact", index });
        addBpfFilter(socket, { index, parent: handles.ingress, fd: first.fd, name: "first", priority: 10, handle: 1 });
        addBpfFilter(socket, {
          index,
          parent: handles.egress,
          fd: second.fd,
          name: "second",
          priority: 20,
          handle: 7,
          protocol: 0x0800,
        });
        const again = { index, parent: handles.ingress, fd: second.fd, name: "again", priority: 10, handle: 1 };
        expect(codeOf(() => addBpfFilter(socket, again))).toBe("EEXIST");
        expect(listFilters(socket, { index, parent: handles.ingress })).toMatchObject([
          { bpf: { programId: first.info.id, name: "first" } },
        ]);
        addBpfFilter(socket, again, { replace: true });
      });
      const ingress = iproute(space, "tc filter show dev a ingress").filter((each) => each["options"] !== undefined);
      expect(ingress).toMatchObject([
        {
          kind: "bpf",
          pref: 10,
          protocol: "all",
          options: {
            handle: "0x1",
            bpf_name: "again",
            "direct-action": true,
            prog: { id: second.info.id, tag: second.info.tag },
          },
        },
      ]);
      const egress = iproute(space, "tc filter show dev a egress").filter((each) => each["options"] !== undefined);
      expect(egress).toMatchObject([{ pref: 20, protocol: "ip", options: { handle: "0x7", bpf_name: "second" } }]);
      space.netlink((socket) => {
        const [found] = listFilters(socket, { index, parent: handles.egress });
        expect(found).toMatchObject({
          priority: 20,
          protocol: 0x0800,
          handle: 7,
          bpf: { directAction: true, programId: second.info.id },
        });
        expect(Buffer.from(found!.bpf!.tag).toString("hex")).toBe(second.info.tag);
        const where = { index, parent: handles.ingress, priority: 10 };
        expect(deleteFilter(socket, { ...where, handle: 9 })).toBe(false);
        expect(deleteFilter(socket, { ...where, handle: 1 })).toBe(true);
        expect(listFilters(socket, { index, parent: handles.ingress })).toEqual([]);
        expect(deleteFilter(socket, { index, parent: handles.egress, priority: 20, protocol: 0x0800 })).toBe(true);
        expect(deleteFilter(socket, { index, parent: handles.egress, priority: 20, protocol: 0x0800 })).toBe(false);
      });
    });

    test("XDP without a link, native and generic", () => {
      const [first, second] = [program("xdp", 2), program("xdp", 2)];
      space.netlink((socket) => {
        setXdp(socket, index, { fd: first.fd, flags: xdpFlags.native });
        expect(findLink(socket, index)!.xdp).toEqual({ mode: "native", programId: first.info.id });
        expect(
          codeOf(() => setXdp(socket, index, { fd: second.fd, flags: xdpFlags.native | xdpFlags.updateIfNoExist })),
        ).toBe("EBUSY");
        expect(
          codeOf(() => setXdp(socket, index, { fd: second.fd, flags: xdpFlags.native, expectedFd: second.fd })),
        ).toBe("EEXIST");
        setXdp(socket, index, { fd: second.fd, flags: xdpFlags.native, expectedFd: first.fd });
      });
      expect(iproute(space, "ip link show a")[0]!["xdp"]).toMatchObject({ mode: 1, prog: { id: second.info.id } });
      space.netlink((socket) => {
        setXdp(socket, index, { fd: -1, flags: xdpFlags.native });
        expect(findLink(socket, index)!.xdp).toBeUndefined();
        setXdp(socket, index, { fd: first.fd, flags: xdpFlags.generic });
        expect(findLink(socket, index)!.xdp).toEqual({ mode: "generic", programId: first.info.id });
        setXdp(socket, index, { fd: -1, flags: xdpFlags.generic });
        changeLink(socket, index, { up: false });
      });
    });
  });
});
