/**
 * @module
 * Random programs that are often right: small pieces, each of which a person could have written, glued together.
 */
import type { Instruction } from "@skep/isa";
import { contextRules } from "../src/context/access.ts";
import { helpersOf, prototypeOf } from "../src/helpers/prototypes.ts";
import type { LoadReference, MapSpec, ProgramSpec } from "@skep/object";
import type { LoadedProgram } from "../src/index.ts";
import { Random } from "./random.ts";

export interface FuzzProgram {
  readonly type: string;
  readonly attachType: string | undefined;
  /** Default: GPL. */
  readonly license?: string;
  readonly instructions: readonly Instruction[];
  /** By instruction: the map that an `lddw` names, and for values the offset. */
  readonly maps: ReadonlyMap<number, { readonly map: string; readonly offset: number | null }>;
}

const map = (name: string, type: string, rest: Partial<MapSpec> = {}): MapSpec => ({
  name,
  type,
  keySize: 4,
  valueSize: 16,
  maxEntries: 4,
  flags: 0,
  pinning: "none",
  ...rest,
});

const section = (name: string, readOnly: boolean): MapSpec =>
  map(name, "array", {
    valueSize: 64,
    maxEntries: 1,
    flags: readOnly ? 0x80 : 0,
    data: { contents: Uint8Array.from({ length: 64 }, (_, i) => (i * 7) & 0x3f), readOnly, variables: [] },
  });

/** The maps that generated programs use. */
export const fuzzMaps: readonly MapSpec[] = [
  map("array", "array"),
  map("hash", "hash", { keySize: 8, valueSize: 32 }),
  map("percpu", "percpu_array"),
  map("lru", "lru_hash", { valueSize: 8 }),
  map("ring", "ringbuf", { keySize: 0, valueSize: 0, maxEntries: 4096 }),
  map("programs", "prog_array", { valueSize: 4 }),
  map("perf", "perf_event_array", { valueSize: 4, maxEntries: 2 }),
  map("outer", "array_of_maps", { valueSize: 4, inner: map("inner", "array") }),
  map("queue", "queue", { keySize: 0, valueSize: 8 }),
  map("ports", "devmap", { valueSize: 4 }),
  map("sink", "array", { flags: 0x100 }),
  section(".rodata", true),
  section(".data", false),
];

const types: readonly (readonly [type: string, attachType?: string])[] = [
  ["xdp"],
  ["xdp"],
  ["sched_cls"],
  ["sched_cls"],
  ["socket_filter"],
  ["cgroup_skb", "cgroup_inet_ingress"],
  ["cgroup_skb", "cgroup_inet_egress"],
  ["cgroup_sock_addr", "cgroup_inet4_connect"],
  ["cgroup_sock_addr", "cgroup_inet6_bind"],
  ["cgroup_sock", "cgroup_inet_sock_create"],
  ["sock_ops"],
  ["sk_msg"],
  ["sk_skb", "sk_skb_stream_verdict"],
  ["kprobe"],
  ["tracepoint"],
  ["raw_tracepoint"],
  ["perf_event"],
  ["cgroup_device"],
  ["cgroup_sysctl"],
  ["cgroup_sockopt", "cgroup_setsockopt"],
  ["sk_lookup", "sk_lookup"],
  ["flow_dissector"],
  ["lwt_xmit"],
  ["sk_reuseport", "sk_reuseport_select"],
];

const plainTypes: typeof types = [["xdp"], ["sched_cls"]];
/** Cases of `piece`. */
const plainPieces = [0, 1, 2, 3, 3, 4, 5, 6, 7, 10, 11, 12, 15, 17];
const lookedUp = ["array", "hash", "percpu", "lru", "outer", "ports"];
const plainMaps = ["array", "hash"];

interface PacketFields {
  readonly data: number;
  readonly end: number;
  readonly wide: boolean;
}

const packets: Readonly<Record<string, PacketFields>> = {
  xdp: { data: 0, end: 4, wide: false },
  sched_cls: { data: 76, end: 80, wide: false },
  cgroup_skb: { data: 76, end: 80, wide: false },
  sk_skb: { data: 76, end: 80, wide: false },
  lwt_xmit: { data: 76, end: 80, wide: false },
  flow_dissector: { data: 76, end: 80, wide: false },
  sk_msg: { data: 0, end: 8, wide: true },
  sk_reuseport: { data: 0, end: 8, wide: true },
  cgroup_sockopt: { data: 8, end: 16, wide: true },
};

const SIZE = { 1: 0x10, 2: 0x08, 4: 0x00, 8: 0x18 } as const;
type Size = keyof typeof SIZE;
const sizes: readonly Size[] = [1, 2, 4, 8];
const aluOps = [0x00, 0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0x90, 0xa0, 0xc0];
const jumpOps = [0x10, 0x20, 0x30, 0x40, 0x50, 0x60, 0x70, 0xa0, 0xb0, 0xc0, 0xd0];
const numbers = [
  0, 1, -1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 63, 64, 255, 256, 511, 4095, 65535, 0x7fffffff, -0x80000000, -8, -64,
];

const raw = (opcode: number, dst = 0, src = 0, offset = 0, imm = 0): Instruction => ({ opcode, dst, src, offset, imm });
const tailCall: readonly Instruction[] = [{ ...raw(0x18, 2, 1), immHigh: 0 }, raw(0xb7, 3), raw(0x85, 0, 0, 0, 12)];
const packetLoad: readonly Instruction[] = [raw(0xbf, 6, 1), raw(0x20, 0, 0, 0, 12)];
const move = (dst: number, imm: number): Instruction => raw(0xb7, dst, 0, 0, imm);

/** Makes one program after the other from a seed. */
export class Generator {
  private readonly random: Random;
  private code: Instruction[] = [];
  private maps = new Map<number, { map: string; offset: number | null }>();
  /** Jumps to the end of the program, by index. */
  private exits: number[] = [];
  private type = "xdp";
  private attachType: string | undefined;
  private functions: number[] = [];
  private recursive = -1;
  private depth = 0;

  /** Only what gives the same on every machine: no helpers but those of maps, no context but the packet. */
  private readonly executable: boolean;

  constructor(seed: number, options: { readonly executable?: boolean } = {}) {
    this.random = new Random(seed);
    this.executable = options.executable ?? false;
  }

  next(): FuzzProgram {
    const { random } = this;
    if (!this.executable && random.below(700) === 0) return this.extreme();
    this.code = [];
    this.maps = new Map();
    this.exits = [];
    this.functions = [];
    this.recursive = -1;
    this.depth = 0;
    [this.type, this.attachType] = random.pick(this.executable ? plainTypes : types) as [string, string | undefined];
    // r6: context, r7: number, r8: number, r9: free.
    this.emit(0xbf, 6, 1);
    this.number(7);
    this.number(8);
    if (random.chance(60)) this.field(7);
    const pieces = 1 + random.below(6);
    for (let i = 0; i < pieces; i++) this.piece();
    const end = this.code.length;
    if (this.executable) {
      this.emit(0xbf, 0, 7);
      this.emit(0xaf, 0, 8);
    } else this.emit(0xb7, 0, 0, 0, this.result());
    this.emit(0x95);
    for (const at of this.exits) this.patch(at, end - at - 1 + this.wide(at, end));
    for (const at of this.functions) this.subprogram(at);
    if (this.recursive >= 0) this.recursiveFunction();
    const license = random.chance(5) ? { license: "Proprietary" } : {};
    return { type: this.type, attachType: this.attachType, instructions: this.code, maps: this.maps, ...license };
  }

  /** Too much of something, or of no type. */
  private extreme(): FuzzProgram {
    const end = [move(0, 0), raw(0x95)];
    const program = (instructions: Instruction[], type = "sched_cls"): FuzzProgram => ({
      ...{ type, attachType: undefined, instructions, maps: new Map() },
    });
    const { random } = this;
    switch (random.below(5)) {
      case 0:
        return program(end, "nothing");
      case 1: {
        // Functions, each behind the other.
        const count = 250 + random.below(12);
        const calls = Array.from({ length: count }, (_, i) => raw(0x85, 0, 1, 0, count - i - 1 + 2 + i * 2));
        return program([...calls, ...end, ...calls.flatMap(() => end)]);
      }
      case 2: {
        // Branches, none of which has been walked when the next one comes.
        const count = 8186 + random.below(16);
        const jumps = Array.from({ length: count }, () => raw(0x2d, 7, 8));
        const numbers = [raw(0x85, 0, 0, 0, 7), raw(0xbf, 7, 0), raw(0x85, 0, 0, 0, 7), raw(0xbf, 8, 0)];
        return program([...numbers, ...jumps, ...end]);
      }
      case 3:
        // A map that there is not.
        return program([{ ...raw(0x18, 1, 1, 0, -1), immHigh: 0 }, ...end]);
      default:
        // A tail call, or a packet load, in a function of which nothing is known.
        return {
          ...program([raw(0x85, 0, 1, 0, 2), ...end, ...(random.chance(50) ? tailCall : packetLoad), ...end]),
          maps: new Map(random.chance(90) ? [[3, { map: "programs", offset: null }]] : []),
        };
    }
  }

  private result(): number {
    const { random } = this;
    if (random.chance(6)) return random.pick(numbers);
    return this.attachType?.includes("recvmsg") === true ? 1 : random.below(2);
  }

  private emit(opcode: number, dst = 0, src = 0, offset = 0, imm = 0, immHigh?: number): void {
    this.code.push({ opcode, dst, src, offset, imm, ...(immHigh === undefined ? {} : { immHigh }) });
  }

  /** Second slots between two instructions. */
  private wide(from: number, to: number): number {
    let count = 0;
    for (let at = Math.min(from, to) + 1; at < Math.max(from, to); at++) if (this.code[at]?.opcode === 0x18) count++;
    return count;
  }

  private patch(at: number, offset: number): void {
    const insn = this.code[at];
    if (insn !== undefined) this.code[at] = { ...insn, offset };
  }

  /** The jump at `at` goes to the next instruction. */
  private land(at: number): void {
    const end = this.code.length;
    this.patch(at, end - at - 1 + this.wide(at, end));
  }

  private leave(opcode: number, dst = 0, src = 0, imm = 0): void {
    this.exits.push(this.code.length);
    this.emit(opcode, dst, src, 0, imm);
  }

  private number(register: number): void {
    const { random } = this;
    switch (this.executable ? 1 + random.below(3) : random.below(4)) {
      case 0:
        this.emit(0x85, 0, 0, 0, 7);
        this.emit(0xbf, register, 0);
        break;
      case 1:
        this.emit(0x18, register, 0, 0, random.pick(numbers), random.pick([0, 0, -1, 1, 0x7fffffff]));
        break;
      default:
        this.emit(random.pick([0xb7, 0xb7, 0xb4]), register, 0, 0, random.pick(numbers));
    }
  }

  private field(register: number): void {
    const { random } = this;
    if (this.executable) {
      this.number(register);
      return;
    }
    const rules = contextRules(this.type, this.attachType);
    for (let tries = 0; tries < 30; tries++) {
      const size = random.pick(sizes);
      const offset = random.below(200);
      const isRight = rules?.mayAccess(offset, size, false) === true && rules.pointerAt(offset, size) === null;
      if (isRight || random.chance(1)) {
        this.emit(0x61 | SIZE[size], register, 6, offset);
        return;
      }
    }
    this.number(register);
  }

  private piece(): void {
    const { random } = this;
    if (this.depth > 3) return;
    this.depth++;
    const which = this.executable ? random.pick(plainPieces) : random.below(19);
    switch (which) {
      case 0:
      case 1:
      case 2:
        this.arithmetic();
        break;
      case 3:
        this.stack();
        break;
      case 4:
      case 5:
        this.packet();
        break;
      case 6:
      case 7:
        this.lookup();
        break;
      case 8:
      case 9:
        this.helper();
        break;
      case 10:
      case 11:
        this.branch();
        break;
      case 12:
        this.loop();
        break;
      case 13:
        this.record();
        break;
      case 14:
        this.call();
        break;
      case 15:
        this.data();
        break;
      case 16:
        this.spillPointer();
        break;
      case 17:
        this.atomic();
        break;
      default:
        this.odd();
    }
    this.depth--;
  }

  private arithmetic(): void {
    const { random } = this;
    const count = 1 + random.below(4);
    for (let i = 0; i < count; i++) {
      const dst = random.pick([7, 8, 8]);
      const wide = random.chance(60) ? 7 : 4;
      if (random.chance(12)) {
        this.emit(random.pick([0xdc, 0xd4, 0xd7]), dst, 0, 0, random.pick([16, 32, 64]));
      } else if (random.chance(8)) this.emit(0x80 | wide, dst);
      else if (random.chance(10))
        this.emit(0xb8 | wide, dst, random.pick([7, 8]), random.pick(wide === 7 ? [0, 8, 16, 32] : [0, 8, 16]));
      else {
        const op = random.pick(aluOps);
        const isShift = op === 0x60 || op === 0x70 || op === 0xc0;
        const divides = op === 0x30 || op === 0x90;
        if (random.chance(40)) this.emit(op | 8 | wide, dst, random.pick([7, 8]), divides && random.chance(30) ? 1 : 0);
        else this.emit(op | wide, dst, 0, 0, isShift ? random.below(wide === 7 ? 64 : 32) : this.nonZero(divides));
      }
    }
  }

  private nonZero(wanted: boolean): number {
    const value = this.random.pick(numbers);
    return wanted && value === 0 ? 3 : value;
  }

  private stack(): void {
    const { random } = this;
    const count = 1 + random.below(4);
    for (let i = 0; i < count; i++) {
      const size = random.pick(sizes);
      const unit = random.chance(96) ? size : 1;
      const offset = -unit * (1 + random.below(Math.floor((random.chance(97) ? 64 : 560) / unit)));
      switch (random.below(4)) {
        case 0:
          this.emit(0x62 | SIZE[size], 10, 0, offset, random.pick(numbers));
          break;
        case 1:
          this.emit(0x63 | SIZE[size], 10, random.pick([7, 8]), offset);
          break;
        case 2:
          this.emit((random.chance(15) && size !== 8 ? 0x81 : 0x61) | SIZE[size], random.pick([7, 8]), 10, offset);
          break;
        default:
          this.emit(0xbf, 9, 10);
          this.emit(0x07, 9, 0, 0, -64);
          this.bound(7, 56);
          this.emit(0x0f, 9, 7);
          this.emit(
            random.pick([0x61, 0x63]) | SIZE[1],
            ...((random.chance(50) ? [8, 9] : [9, 8]) as [number, number]),
            0,
          );
      }
    }
  }

  /** Bounds a number in one of the ways that programs have. */
  private bound(register: number, limit: number): void {
    const { random } = this;
    switch (random.below(5)) {
      case 0:
      case 1:
        this.emit(0x57, register, 0, 0, limit - 1 - random.below(2));
        break;
      case 2:
        this.leave(0x25, register, 0, limit - 1);
        break;
      case 3:
        this.leave(0x65, register, 0, limit - 1);
        if (random.chance(85)) this.leave(0xc5, register, 0, 0);
        break;
      default:
        this.emit(0x54, register, 0, 0, 0xff);
        this.leave(0x26, register, 0, limit - 1);
    }
  }

  private packet(): void {
    const { random } = this;
    const fields = packets[this.type];
    if (fields === undefined) {
      this.arithmetic();
      return;
    }
    const loads = fields.wide ? 0x79 : 0x61;
    this.emit(loads, 2, 6, fields.data);
    this.emit(loads, 3, 6, fields.end);
    if (random.chance(35)) {
      this.bound(7, random.pick([16, 64, 0x8000]));
      this.emit(0x0f, 2, 7);
    }
    const size = random.pick([1, 14, 20, 34, 54]);
    this.emit(0xbf, 4, 2);
    this.emit(0x07, 4, 0, 0, size);
    const [opcode, a, b] = random.pick([
      [0x2d, 4, 3],
      [0x2d, 4, 3],
      [0x3d, 4, 3],
      [0xad, 3, 4],
      [0xbd, 3, 4],
    ] as const);
    this.leave(opcode, a, b);
    const count = 1 + random.below(3);
    for (let i = 0; i < count; i++) {
      const width = random.pick(sizes);
      const offset = random.below(Math.max(1, size - width + 1 + (random.chance(8) ? 3 : 0)));
      if (random.chance(75)) this.emit(0x61 | SIZE[width], random.pick([7, 8]), 2, offset);
      else if (random.chance(50)) this.emit(0x62 | SIZE[width], 2, 0, offset, 5);
      else this.emit(0x63 | SIZE[width], 2, 8, offset);
    }
  }

  private mapAddress(register: number, name: string, offset: number | null = null): void {
    this.maps.set(this.code.length, { map: name, offset });
    this.emit(0x18, register, offset === null ? 1 : 2, 0, 0, offset ?? 0);
  }

  private key(size: number): void {
    const { random } = this;
    if (random.chance(40)) this.emit(0x62 | SIZE[size === 8 ? 8 : 4], 10, 0, -8, random.below(6));
    else this.emit(0x63 | SIZE[size === 8 ? 8 : 4], 10, random.pick([7, 8]), -8);
    this.emit(0xbf, 2, 10);
    this.emit(0x07, 2, 0, 0, -8);
  }

  private lookup(): void {
    const { random } = this;
    const spec = random.pick(fuzzMaps.filter((each) => (this.executable ? plainMaps : lookedUp).includes(each.name)));
    this.key(spec.keySize);
    this.mapAddress(1, spec.name);
    this.emit(0x85, 0, 0, 0, 1);
    if (random.chance(95)) this.leave(random.chance(90) ? 0x15 : 0x1d, 0, random.chance(99) ? 0 : 7, 0);
    if (spec.name === "outer") {
      this.emit(0xbf, 1, 0);
      this.key(4);
      this.emit(0x85, 0, 0, 0, 1);
      this.leave(0x15, 0);
    }
    this.value(0, spec.name === "outer" ? 16 : spec.name === "ports" ? 4 : spec.valueSize);
  }

  /** Loads and stores through a pointer to a value. */
  private value(register: number, size: number): void {
    const { random } = this;
    if (random.chance(35)) {
      this.bound(8, Math.max(1, size - (random.chance(80) ? 7 : 0)));
      this.emit(0x0f, register, 8);
      this.emit(0x71, random.pick([7, 8]), register, random.chance(90) ? 0 : 7);
      return;
    }
    const width = random.pick(sizes);
    const offset = random.below(Math.max(1, size - width + 1 + (random.chance(8) ? 4 : 0)));
    if (random.chance(60)) this.emit(0x61 | SIZE[width], random.pick([7, 8]), register, offset);
    else this.emit(0x63 | SIZE[width], register, random.pick([7, 8]), offset);
  }

  private helper(): void {
    const { random } = this;
    const available = [...(helpersOf(this.type, this.attachType) ?? [])];
    const id = random.chance(2) ? random.below(220) : random.pick(available);
    const prototype = prototypeOf(id);
    if (prototype === null) return;
    const name = random.pick(["array", "hash", "percpu", "ring", "programs", "perf", "queue", "ports", "lru"]);
    const spec = fuzzMaps.find((each) => each.name === name) as MapSpec;
    this.emit(0x7a, 10, 0, -8, 0);
    this.emit(0x7a, 10, 0, -16, 0);
    this.emit(0x7a, 10, 0, -24, 0);
    this.emit(0x7a, 10, 0, -32, 0);
    prototype.args.forEach((arg, index) => {
      const register = index + 1;
      if (random.chance(3)) {
        this.emit(0xbf, register, random.pick([6, 7, 10]));
        return;
      }
      if (arg.kind === "ctx") this.emit(0xbf, register, 6);
      else if (arg.kind === "map") this.mapAddress(register, this.mapFor(prototype.helper.name) ?? spec.name);
      else if (arg.kind === "size" || arg.kind === "size0" || arg.kind === "alloc") this.size(register);
      else if (arg.kind === "string") this.mapAddress(register, ".rodata", random.pick([0, 0, 8]));
      else if (arg.nullable && random.chance(50)) this.emit(0xb7, register, 0, 0, 0);
      else if (arg.kind === "any") this.emit(0xbf, register, random.pick([7, 8]));
      else {
        this.emit(0xbf, register, 10);
        this.emit(0x07, register, 0, 0, -32);
      }
    });
    this.emit(0x85, 0, 0, 0, id);
    if (random.chance(30) && prototype.returns === "int") this.emit(0xbf, random.pick([7, 8]), 0);
  }

  private mapFor(helper: string): string | null {
    if (this.random.chance(4)) return null;
    if (helper === "tail_call") return "programs";
    if (helper.startsWith("perf_event") || helper.endsWith("_output"))
      return helper.startsWith("ringbuf") ? "ring" : "perf";
    if (helper.startsWith("ringbuf")) return "ring";
    if (helper === "redirect_map") return "ports";
    if (/^map_(push|pop|peek)/.test(helper)) return "queue";
    if (helper === "map_lookup_percpu_elem") return "percpu";
    return null;
  }

  private size(register: number): void {
    const { random } = this;
    if (random.chance(80)) {
      this.emit(0xb7, register, 0, 0, random.pick([1, 4, 8, 16, 32, 32, 20, 33, 0]));
      return;
    }
    this.bound(7, 32);
    this.emit(0xbf, register, 7);
  }

  private branch(): void {
    const { random } = this;
    const at = this.code.length;
    const narrow = random.chance(35) ? 6 : 5;
    const op = random.pick(jumpOps);
    if (random.chance(40)) this.emit(op | 8 | narrow, random.pick([7, 8]), random.pick([7, 8]));
    else this.emit(op | narrow, random.pick([7, 8]), 0, 0, random.pick(numbers));
    this.piece();
    if (random.chance(40)) {
      const over = this.code.length;
      this.emit(0x05);
      this.land(at);
      this.piece();
      this.land(over);
    } else this.land(at);
  }

  private loop(): void {
    const { random } = this;
    this.emit(0xb7, 9, 0, 0, 0);
    const head = this.code.length;
    const kind = random.below(40);
    let goto = -1;
    if (kind < 4) {
      goto = this.code.length;
      this.emit(0xe5);
    }
    if (random.chance(60)) this.arithmetic();
    else this.stackStep();
    const step = 1 + random.below(3);
    if (kind !== 4) this.emit(0x07, 9, 0, 0, step);
    const at = this.code.length;
    this.emit(random.pick([0xa5, 0xa5, step === 1 ? 0x55 : 0xa5, 0xc5]), 9, 0, 0, random.pick([3, 6, 12, 30, 66]));
    this.patch(at, head - at - 1 - this.wide(head - 1, at));
    if (goto >= 0) this.land(goto);
  }

  private stackStep(): void {
    const { random } = this;
    this.emit(0x7b, 10, 9, -40);
    this.emit(0x79, random.pick([7, 8]), 10, -40);
  }

  private record(): void {
    const { random } = this;
    this.mapAddress(1, "ring");
    this.emit(0xb7, 2, 0, 0, 16);
    this.emit(0xb7, 3, 0, 0, 0);
    this.emit(0x85, 0, 0, 0, 131);
    this.leave(0x15, 0);
    if (random.chance(80)) this.emit(0x7b, 0, 7, random.pick([0, 8, 8, 4, 12]));
    if (random.chance(8)) return;
    this.emit(0xbf, 1, 0);
    if (random.chance(4)) this.emit(0x07, 1, 0, 0, 8);
    this.emit(0xb7, 2, 0, 0, 0);
    this.emit(0x85, 0, 0, 0, random.pick([132, 133]));
    if (random.chance(5)) this.emit(0x79, 7, 1, 0);
  }

  private call(): void {
    this.emit(0xbf, 1, this.random.pick([7, 7, 10, 6]));
    this.emit(0xbf, 2, 8);
    this.functions.push(this.code.length);
    this.emit(0x85, 0, 1, 0, 0);
    if (this.random.chance(70)) this.emit(0xbf, this.random.pick([7, 8]), 0);
  }

  /** A small function at the end. */
  private subprogram(at: number): void {
    const { random } = this;
    const start = this.code.length;
    const call = this.code[at];
    if (call !== undefined) this.code[at] = { ...call, imm: start - at - 1 + this.wide(at, start) };
    switch (random.below(6)) {
      case 4:
        this.emit(0x7b, 1, 10, -16);
        this.emit(0xb7, 0, 0, 0, 0);
        break;
      case 5:
        this.emit(0x7b, 10, 2, random.pick([-8, -200]));
        this.emit(0xb7, 0, 0, 0, 0);
        break;
      case 0:
        this.emit(0xbf, 0, 1);
        break;
      case 1:
        this.emit(0x7b, 10, 2, -8);
        this.emit(0x79, 0, 10, -8);
        break;
      case 2:
        this.emit(0xbf, 0, 2);
        this.emit(0x57, 0, 0, 0, 31);
        break;
      default:
        this.emit(0xb7, 0, 0, 0, 1);
        this.emit(0x25, 2, 0, 1, 10);
        this.emit(0x0f, 0, 2);
    }
    this.emit(0x95);
  }

  private recursiveFunction(): void {
    const start = this.code.length;
    const call = this.code[this.recursive];
    if (call !== undefined) {
      this.code[this.recursive] = { ...call, imm: start - this.recursive - 1 + this.wide(this.recursive, start) };
    }
    this.emit(0x15, 1, 0, 1, this.random.pick([0, 1]));
    this.emit(0x85, 0, 1, 0, -2);
    this.emit(0xb7, 0, 0, 0, 0);
    this.emit(0x95);
  }

  private data(): void {
    const { random } = this;
    this.mapAddress(1, random.chance(50) ? ".rodata" : ".data", random.pick([0, 8, 16, 60]));
    const width = random.pick(sizes);
    if (random.chance(60)) this.emit(0x61 | SIZE[width], random.pick([7, 8]), 1, random.pick([0, 0, 3, 8]));
    else if (random.chance(50)) this.emit(0x63 | SIZE[width], 1, 7, 0);
    else {
      this.bound(7, 32);
      this.emit(0x0f, 1, 7);
      this.emit(0x71, 8, 1, 0);
    }
  }

  private spillPointer(): void {
    const { random } = this;
    this.emit(0x7b, 10, 6, -48);
    if (random.chance(15)) this.emit(random.pick([0x62, 0x63, 0x73, 0x7b]), 10, 7, random.pick([-48, -44, -41, -40]));
    this.emit(random.chance(90) ? 0x79 : 0x61, 9, 10, -48);
    this.emit(0xbf, 1, 9);
    const rules = contextRules(this.type, this.attachType);
    const offset = random.below(25) * 4;
    if (rules?.mayAccess(offset, 4, false) === true) this.emit(0x61, random.pick([7, 8]), 1, offset);
  }

  private atomic(): void {
    const { random } = this;
    this.emit(0x7a, 10, 0, -56, 1);
    const imm = random.pick([0x00, 0x40, 0x50, 0xa0, 0x01, 0x41, 0x51, 0xa1, 0xe1, 0xf1]);
    if (imm === 0xf1) this.emit(0xb7, 0, 0, 0, 1);
    const width = random.pick([4, 8] as const);
    this.emit(0xc3 | SIZE[width], random.chance(95) ? 10 : 6, random.pick([7, 8]), random.chance(95) ? -56 : -53, imm);
    if (random.chance(50)) this.emit(0x79, 8, 10, -56);
  }

  private lookupIn(name: string): void {
    this.key(4);
    this.mapAddress(1, name);
    this.emit(0x85, 0, 0, 0, 1);
    this.leave(0x15, 0);
  }

  /** A dynptr over a value, used well or not. */
  private dynptr(): void {
    const { random } = this;
    this.mapAddress(1, ".data", 0);
    this.emit(0xb7, 2, 0, 0, 16);
    this.emit(0xb7, 3, 0, 0, 0);
    this.emit(0xbf, 4, 10);
    this.emit(0x07, 4, 0, 0, random.chance(90) ? -80 : -76);
    this.emit(0x85, 0, 0, 0, 197);
    switch (random.below(4)) {
      case 0:
        this.emit(0x79, 8, 10, random.pick([-80, -72]));
        break;
      case 1:
        this.emit(0x7b, 10, 7, random.pick([-80, -72, -88]));
        break;
      default:
    }
    this.emit(0xbf, 1, 10);
    this.emit(0x07, 1, 0, 0, random.chance(90) ? -80 : -72);
    this.emit(0xb7, 2, 0, 0, 0);
    this.emit(0xb7, 3, 0, 0, 8);
    this.emit(0x85, 0, 0, 0, 203);
    this.leave(0x15, 0);
    this.emit(0x79, 8, 0, random.pick([0, 0, 4]));
  }

  /** A function that calls itself. */
  private recursion(): void {
    this.emit(0xb7, 1, 0, 0, 1);
    this.recursive = this.code.length;
    this.emit(0x85, 0, 1, 0, 0);
  }

  /** What programs seldom do. */
  private odd(): void {
    const { random } = this;
    switch (random.below(19)) {
      case 18:
        // An atomic addition to a packet.
        this.packet();
        this.emit(0xdb, 2, 8);
        break;
      case 8:
        this.emit(0xbf, 9, 6);
        this.emit(0x07, 9, 0, 0, 8);
        this.emit(0x61, 8, 9, 0);
        break;
      case 9:
        this.lookupIn("sink");
        this.emit(0x79, 8, 0, 0);
        break;
      case 10:
        this.dynptr();
        break;
      case 11:
        // An offset without an upper bound.
        this.mapAddress(1, ".data", 0);
        this.emit(0x77, 7, 0, 0, random.pick([1, 40, 58]));
        this.emit(0x0f, 1, 7);
        this.emit(0x71, 8, 1, 0);
        break;
      case 12:
        // An offset that can be negative.
        this.mapAddress(1, ".data", random.pick([0, 8]));
        this.emit(0x57, 7, 0, 0, 15);
        this.emit(0x17, 7, 0, 0, 8);
        this.emit(0x0f, 1, 7);
        this.emit(0x71, 8, 1, 0);
        break;
      case 13:
        this.emit(0xbf, 9, 10);
        this.emit(0x77, 7, 0, 0, random.pick([1, 40, 58]));
        this.emit(0x0f, 9, 7);
        this.emit(0x71, 8, 9, random.pick([0, -8, -64]));
        break;
      case 14:
        // A packet pointer to a helper.
        this.packet();
        this.emit(0xbf, 1, 2);
        this.emit(0xb7, 2, 0, 0, 4);
        this.emit(0x85, 0, 0, 0, random.pick([6, 105]));
        break;
      case 15:
        this.recursion();
        break;
      case 16:
        this.emit(0x7a, 10, 0, random.pick([-400, -480]), 0);
        this.call();
        break;
      case 17:
        this.emit(0x57, 7, 0, 0, 3);
        this.emit(0x87, 7);
        this.emit(0xbf, 9, 10);
        this.emit(0x0f, 9, 7);
        this.emit(0x62 | SIZE[1], 9, 0, -8, 0);
        break;
      case 0:
        this.emit(0xbf, 9, 10);
        this.emit(random.pick([0x07, 0x17, 0x27, 0x57]), 9, 0, 0, random.pick([-8, 8, 600]));
        this.emit(0x79, 8, 9, -16);
        break;
      case 1:
        this.emit(0xbf, 9, 6);
        this.emit(0x1f, 9, random.pick([6, 10]));
        break;
      case 2:
        this.emit(0x61, 8, 6, random.below(220));
        break;
      case 3:
        this.emit(0x63, 6, 7, random.below(220));
        break;
      case 4:
        this.emit(0xbc, 9, 10);
        this.emit(0x79, 8, random.pick([9, 10]), -8);
        break;
      case 5:
        this.emit(random.pick([0x20, 0x28, 0x30]), 0, 0, 0, random.pick([0, 12, 14]));
        this.emit(0xbf, 7, 0);
        break;
      case 6:
        this.emit(0xbf, random.pick([7, 8]), random.pick([1, 2, 3, 4, 5, 9]));
        break;
      default:
        this.emit(0x0f, 8, random.pick([6, 10]));
    }
  }
}

/** A fuzzed program as the verifier takes it. */
export function fuzzLoaded(program: FuzzProgram, maps: readonly MapSpec[] = fuzzMaps): LoadedProgram {
  const references: LoadReference[] = [];
  for (const [at, target] of program.maps) {
    if (program.instructions[at]?.opcode !== 0x18) continue;
    if (target.offset === null) references.push({ at, kind: "map", map: target.map });
    else references.push({ at, kind: "data", map: target.map, offset: target.offset });
  }
  const spec: ProgramSpec = {
    name: "fuzz",
    section: program.type,
    type: program.type,
    ...(program.attachType === undefined ? {} : { attachType: program.attachType }),
    flags: 0,
    linkage: "global",
    instructions: program.instructions,
    references: [],
    lines: [],
    coreRelocations: [],
  };
  return {
    program: spec,
    linked: { instructions: program.instructions, references, functions: [], lines: [], funcInfo: [] },
    object: {
      license: program.license ?? "GPL",
      byteOrder: "little",
      maps: Object.fromEntries(maps.map((each) => [each.name, each])),
      programs: { fuzz: spec },
      functions: {},
    },
  };
}
