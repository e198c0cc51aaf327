/**
 * Where packets go that a program sends elsewhere: XDP_TX, XDP_REDIRECT by interface, by device maps (one, all, all but one, with a program at
 * the other device) and by CPU maps, and tc's redirects. One suite for every machine; an implementation hands it wires of its own.
 */
import { assemble } from "@skep/isa";
import type { MapSpec, ObjectSpec, ProgramSpec, Reference } from "@skep/object";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AttachTarget, Collection, Machine, Program, RawMap } from "../src/index.ts";

/** A wire: its near end where programs are attached, with the address 10.77.N.1, its far end elsewhere with 10.77.N.2 (N from 1). */
export interface Wire {
  /** Of the near end. */
  readonly index: number;
  readonly mac: Uint8Array;
  readonly farMac: Uint8Array;
  /** Sends a frame at the far end. */
  send(frame: Uint8Array): void;
  /** Frames of the suite that have arrived at the far end since the last time. */
  received(): Promise<Uint8Array[]>;
}

export interface WireGround {
  readonly machine: Pick<Machine, "bpf">;
  /** Three. */
  readonly wires: readonly Wire[];
  /** Runs where the interfaces' numbers are those of the near ends: what user space puts into a device map is looked up at once. */
  inside(run: () => void): void;
  /** What user space puts into maps for a program. */
  numberOf(program: Program): number;
  close(): void | Promise<void>;
}

/** The suite's frames: IPv4 of protocol 253 (RFC 3692), so that routes and neighbours can be asked; the byte at 34 is a tag. */
const TAG = 34;
const PROTOCOL = 253;
export const isOfSuite = (frame: Uint8Array): boolean => frame[12] === 8 && frame[13] === 0 && frame[23] === PROTOCOL;

function frameTo(wire: Wire, destination: number, tag: number): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set(wire.mac, 0);
  frame.set(wire.farMac, 6);
  frame.set([8, 0, 0x45, 0, 0, 46, 0, 1, 0, 0, 64, PROTOCOL, 0, 0, 10, 77, 1, 2, 10, 77, destination, 2], 12);
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += ((frame[i] ?? 0) << 8) | (frame[i + 1] ?? 0);
  sum = ~((sum & 0xffff) + (sum >>> 16));
  frame.set([(sum >>> 8) & 0xff, sum & 0xff], 24);
  frame[TAG] = tag;
  return frame;
}

const map = (name: string, type: string, rest: Partial<MapSpec> = {}): MapSpec => ({
  ...{ name, type, keySize: 4, valueSize: 8, maxEntries: 8, flags: 0, pinning: "none" },
  ...rest,
});

const maps = [
  map("ports", "devmap"),
  map("named", "devmap_hash"),
  map("cpus", "cpumap", { maxEntries: 1 }),
  map("count", "array", { maxEntries: 1 }),
];

interface Part {
  readonly type?: string;
  readonly attachType?: string;
  readonly text: readonly string[];
}

function programOf(name: string, part: Part): ProgramSpec {
  const { instructions, diagnostics, references } = assemble(part.text.join("\n"), { notation: "kernel" });
  if (diagnostics.length > 0) throw new Error(diagnostics.map(({ message }) => message).join("\n"));
  const named = references.flatMap((each): Reference[] =>
    each.kind === "map" ? [{ at: each.at, kind: "map", map: each.map }] : [],
  );
  return {
    ...{ name, linkage: "global", instructions, references: named, lines: [], coreRelocations: [], flags: 0 },
    ...{ section: part.type ?? "xdp", type: part.type ?? "xdp" },
    ...(part.attachType === undefined ? {} : { attachType: part.attachType }),
  };
}

/** Adds to the tag of the packet. */
const marked = (more: number, verdict: number): readonly string[] => [
  ...["r2 = *(u32 *)(r1 + 0)", "r3 = *(u32 *)(r1 + 4)", "r4 = r2", "r4 += 60", "if r4 > r3 goto +3"],
  ...[`r5 = *(u8 *)(r2 + ${TAG})`, `r5 += ${more}`, `*(u8 *)(r2 + ${TAG}) = r5`, `r0 = ${verdict}`, "exit"],
];

/** Counts what reaches the stack's side of an interface, and lets it be. */
const counter: Part = {
  type: "sched_cls",
  text: [
    ...["*(u32 *)(r10 - 4) = 0", "r1 = *(u32 *)(r1 + 16)", "if r1 != 8 goto +8", "r1 = map[name:count]", "r2 = r10"],
    ...["r2 += -4", "call bpf_map_lookup_elem", "if r0 == 0 goto +2", "r1 = 1", "lock *(u64 *)(r0 + 0) += r1"],
    ...["r0 = -1", "exit"],
  ],
};

export function redirectsSuite(name: string, open: () => WireGround | Promise<WireGround>): void {
  describe(name, () => {
    let ground: WireGround;
    let collections: Collection[] = [];
    let links: { close(): void }[] = [];

    beforeEach(async () => {
      ground = await open();
    });
    afterEach(async () => {
      for (const link of links) link.close();
      for (const collection of collections) collection.close();
      links = [];
      collections = [];
      await ground.close();
    });

    function load(parts: Readonly<Record<string, Part>>): Collection {
      const programs = Object.fromEntries(Object.entries(parts).map(([key, part]) => [key, programOf(key, part)]));
      const used = new Set(
        Object.values(programs).flatMap(({ references }) =>
          references.flatMap((each) => (each.kind === "map" ? [each.map] : [])),
        ),
      );
      const spec: ObjectSpec = {
        ...{ license: "GPL", byteOrder: "little", programs, functions: {} },
        maps: Object.fromEntries(maps.filter((each) => used.has(each.name)).map((each) => [each.name, each])),
      };
      const loaded = ground.machine.bpf.load(spec);
      collections.push(loaded);
      return loaded;
    }

    const programIn = (loaded: Collection, key: string): Program => {
      const found = loaded.programs[key];
      if (!found) throw new Error(`no program ${key}`);
      return found;
    };
    const mapIn = (loaded: Collection, key: string): RawMap => {
      const found = loaded.maps[key];
      if (!found) throw new Error(`no map ${key}`);
      return found;
    };
    const wire = (number: number): Wire => {
      const found = ground.wires[number - 1];
      if (!found) throw new Error(`no wire ${number}`);
      return found;
    };
    const attach = (program: Program, target: AttachTarget): void =>
      void links.push(ground.machine.bpf.attach(program, target));
    const onXdp = (text: readonly string[], number = 1): Collection => {
      const loaded = load({ react: { text } });
      attach(programIn(loaded, "react"), { hook: "xdp", interface: wire(number).index, mode: "native" });
      return loaded;
    };
    const word = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
    const entry = (index: number, program = 0): Uint8Array =>
      new Uint8Array(Uint32Array.of(index, program === 0 ? 0xffff_ffff : program).buffer);

    /** Tags that have arrived at the far end of each wire. */
    async function arrived(): Promise<number[][]> {
      const found: number[][] = [];
      for (const each of ground.wires) found.push((await each.received()).map((frame) => frame[TAG] ?? -1));
      return found;
    }

    describe("XDP", () => {
      test("TX: back where it came from, as the program left it", async () => {
        onXdp(marked(1, 3));
        wire(1).send(frameTo(wire(1), 1, 10));
        expect(await arrived()).toEqual([[11], [], []]);
      });

      test("REDIRECT by the interface's number; one that is not there swallows", async () => {
        const to = (index: number) => [`r1 = ${index}`, "r2 = 0", "call bpf_redirect", "exit"];
        onXdp(to(wire(2).index));
        onXdp(to(60_000), 3);
        wire(1).send(frameTo(wire(1), 1, 20));
        wire(3).send(frameTo(wire(3), 1, 21));
        expect(await arrived()).toEqual([[], [20], []]);
      });

      test("REDIRECT by a device map: one entry; the flags' verdict where there is none", async () => {
        const pass = 2;
        const text = ["r1 = map[name:ports]", "r2 = 5", `r3 = ${pass}`, "call bpf_redirect_map", "exit"];
        const loaded = onXdp(text);
        const count = load({ count: counter });
        attach(programIn(count, "count"), { hook: "tcx", interface: wire(1).index, direction: "ingress" });
        const reached = () => mapIn(count, "count").get(word(0))?.[0];
        wire(1).send(frameTo(wire(1), 1, 30));
        expect([await arrived(), reached()]).toEqual([[[], [], []], 1]);
        ground.inside(() => mapIn(loaded, "ports").set(word(5), entry(wire(3).index)));
        wire(1).send(frameTo(wire(1), 1, 31));
        expect([await arrived(), reached()]).toEqual([[[], [], [31]], 1]);
      });

      test("REDIRECT to all of a device map, and to all but where it came from", async () => {
        const [BROADCAST, EXCLUDE] = [1 << 3, 1 << 4];
        const to = (flags: number) => [
          "r1 = map[name:named]",
          "r2 = 0",
          `r3 = ${flags}`,
          "call bpf_redirect_map",
          "exit",
        ];
        const all = onXdp(to(BROADCAST));
        const others = onXdp(to(BROADCAST | EXCLUDE), 2);
        for (const loaded of [all, others])
          for (const [i, each] of ground.wires.entries())
            ground.inside(() => mapIn(loaded, "named").set(word(i), entry(each.index)));
        wire(1).send(frameTo(wire(1), 1, 40));
        expect(await arrived()).toEqual([[40], [40], [40]]);
        wire(2).send(frameTo(wire(2), 1, 41));
        expect(await arrived()).toEqual([[41], [], [41]]);
      });

      test("REDIRECT past a program of the map's entry, which changes or drops", async () => {
        const loaded = load({
          react: { text: ["r1 = map[name:ports]", "r2 = 0", "r3 = 0", "call bpf_redirect_map", "exit"] },
          drops: { text: ["r1 = map[name:ports]", "r2 = 1", "r3 = 0", "call bpf_redirect_map", "exit"] },
          behind: { text: marked(5, 2), attachType: "xdp_devmap" },
          // The interface that it leaves by is told.
          guard: {
            text: ["r1 = *(u32 *)(r1 + 20)", "r0 = 2", `if r1 != ${wire(3).index} goto +1`, "r0 = 1", "exit"],
            attachType: "xdp_devmap",
          },
        });
        const number = (key: string) => ground.numberOf(programIn(loaded, key));
        ground.inside(() => mapIn(loaded, "ports").set(word(0), entry(wire(2).index, number("behind"))));
        ground.inside(() => mapIn(loaded, "ports").set(word(1), entry(wire(3).index, number("guard"))));
        attach(programIn(loaded, "react"), { hook: "xdp", interface: wire(1).index, mode: "native" });
        attach(programIn(loaded, "drops"), { hook: "xdp", interface: wire(3).index, mode: "native" });
        wire(1).send(frameTo(wire(1), 1, 50));
        wire(3).send(frameTo(wire(3), 1, 51));
        expect(await arrived()).toEqual([[], [55], []]);
      });

      test("REDIRECT to a CPU: on to the stack there, past the map's program", async () => {
        const react: Part = { text: ["r1 = map[name:cpus]", "r2 = 0", "r3 = 1", "call bpf_redirect_map", "exit"] };
        const loaded = load({ react, behind: { text: marked(1, 2), attachType: "xdp_cpumap" } });
        mapIn(loaded, "cpus").set(word(0), entry(64, ground.numberOf(programIn(loaded, "behind"))));
        attach(programIn(loaded, "react"), { hook: "xdp", interface: wire(1).index, mode: "native" });
        // What reaches the stack is sent back by tc, so that the change is seen.
        const back = load({
          back: { type: "sched_cls", text: [`r1 = ${wire(2).index}`, "r2 = 0", "call bpf_redirect", "exit"] },
        });
        attach(programIn(back, "back"), { hook: "tcx", interface: wire(1).index, direction: "ingress" });
        wire(1).send(frameTo(wire(1), 1, 60));
        expect(await arrived()).toEqual([[], [61], []]);
      });
    });

    describe("tc", () => {
      const tc = (text: readonly string[], number = 1, direction: "ingress" | "egress" = "ingress"): Collection => {
        const loaded = load({ direct: { type: "sched_cls", text } });
        attach(programIn(loaded, "direct"), { hook: "tcx", interface: wire(number).index, direction });
        return loaded;
      };
      const counted = (number: number, direction: "ingress" | "egress"): (() => number | undefined) => {
        const loaded = load({ count: counter });
        attach(programIn(loaded, "count"), { hook: "tcx", interface: wire(number).index, direction });
        return () => mapIn(loaded, "count").get(word(0))?.[0];
      };
      const redirect = (index: number, flags = 0) => [`r1 = ${index}`, `r2 = ${flags}`, "call bpf_redirect", "exit"];

      test("redirect: out by the other interface, past its egress programs", async () => {
        tc(redirect(wire(2).index));
        const egress = counted(2, "egress");
        wire(1).send(frameTo(wire(1), 1, 70));
        expect([await arrived(), egress()]).toEqual([[[], [70], []], 1]);
      });

      test("redirect to ingress: as if it had come in there", async () => {
        const BPF_F_INGRESS = 1;
        tc(redirect(wire(2).index, BPF_F_INGRESS));
        const ingress = counted(2, "ingress");
        const egress = counted(2, "egress");
        wire(1).send(frameTo(wire(1), 1, 71));
        expect([await arrived(), ingress(), egress()]).toEqual([[[], [], []], 1, 0]);
      });

      test("redirect to no interface: lost", async () => {
        tc(redirect(60_000));
        wire(1).send(frameTo(wire(1), 1, 72));
        expect(await arrived()).toEqual([[], [], []]);
      });

      test("redirect_peer: into the far end, past the near one's egress programs", async () => {
        tc([`r1 = ${wire(2).index}`, "r2 = 0", "call bpf_redirect_peer", "exit"]);
        const egress = counted(2, "egress");
        wire(1).send(frameTo(wire(1), 1, 73));
        expect([await arrived(), egress()]).toEqual([[[], [73], []], 0]);
      });

      test("redirect_neigh: with the MAC addresses of the neighbour that is asked for", async () => {
        tc([`r1 = ${wire(3).index}`, "r2 = 0", "r3 = 0", "r4 = 0", "call bpf_redirect_neigh", "exit"]);
        wire(1).send(frameTo(wire(1), 3, 74));
        const [frame] = await wire(3).received();
        expect(frame && [frame[TAG], [...frame.subarray(0, 6)], [...frame.subarray(6, 12)]]).toEqual([
          ...[74, [...wire(3).farMac], [...wire(3).mac]],
        ]);
        // By the next hop that the program names instead.
        const next = [
          ...["*(u64 *)(r10 - 24) = 0", "*(u64 *)(r10 - 16) = 0", "*(u32 *)(r10 - 8) = 0", "*(u32 *)(r10 - 24) = 2"],
          ...[`*(u32 *)(r10 - 20) = ${0x02_02_4d_0a}`, `r1 = ${wire(2).index}`, "r2 = r10", "r2 += -24", "r3 = 20"],
          ...["r4 = 0", "call bpf_redirect_neigh", "exit"],
        ];
        tc(next, 2);
        wire(2).send(frameTo(wire(2), 3, 75));
        const [other] = await wire(2).received();
        expect(other && [other[TAG], [...other.subarray(0, 6)]]).toEqual([75, [...wire(2).farMac]]);
      });

      test("clone_redirect: a copy leaves, the packet goes on and may be redirected too", async () => {
        const clone = (index: number) => ["r6 = r1", `r2 = ${index}`, "r3 = 0", "call bpf_clone_redirect"];
        tc([...clone(wire(2).index), `r1 = ${wire(3).index}`, "r2 = 0", "call bpf_redirect", "exit"]);
        wire(1).send(frameTo(wire(1), 1, 76));
        expect(await arrived()).toEqual([[], [76], [76]]);
      });
    });
  });
}
