/**
 * @module
 * Modules that were compiled, for machines that load the same program in the same place: nodes of a cluster, an agent that starts again.
 * What a module was made from is all that is compared: the instructions, the options, and what the compiler asked of maps and memory.
 */
import type { Code } from "../code.ts";
import type { VmMap } from "../maps/map.ts";
import { control } from "../maps/shapes.ts";
import { wasm } from "../wasm/api.ts";
import { compileModule } from "./compile.ts";
import type { CompileOptions, CompiledModule } from "./compile.ts";

/** A compiled program, and the module for as many instances as one likes. */
export interface SharedModule {
  readonly compiled: CompiledModule;
  readonly module: object;
}

interface Kept extends SharedModule {
  readonly code: Code;
  readonly options: CompileOptions;
  /** What maps were when they were asked for, by handle. */
  readonly maps: ReadonlyMap<number, string>;
  readonly accesses: readonly Access[];
}

interface Access {
  readonly address: number;
  readonly size: number;
  readonly write: boolean;
  readonly isFixed: boolean;
}

/** Of all modules that are kept together. */
const MOST_BYTES = 16 << 20;

const kept = new Map<number, Kept[]>();
let keptBytes = 0;

/** Compiles a program, or gives what the same one was compiled to before. */
export function sharedModule(code: Code, options: CompileOptions): SharedModule {
  const hash = hashOf(code);
  const found = kept.get(hash)?.find((each) => isSame(each, code, options));
  if (found !== undefined) return found;
  const maps = new Map<number, string>();
  const accesses: Access[] = [];
  const compiled = compileModule(code, {
    ...options,
    mapOf: (handle) => {
      const map = options.mapOf(handle);
      maps.set(handle, shapeOf(map));
      return map;
    },
    isFixed: (address, size, write) => {
      const isFixed = options.isFixed(address, size, write);
      accesses.push({ address, size, write, isFixed });
      return isFixed;
    },
  });
  const made = { compiled, module: new wasm.Module(compiled.bytes) };
  keep(hash, { ...made, code: bare(code), options: withoutMachine(options), maps, accesses });
  return made;
}

function keep(hash: number, made: Kept): void {
  keptBytes += made.compiled.bytes.length;
  if (keptBytes > MOST_BYTES) {
    kept.clear();
    keptBytes = made.compiled.bytes.length;
  }
  const list = kept.get(hash);
  if (list === undefined) kept.set(hash, [made]);
  else list.push(made);
}

/** Without what the module was not made from, which is large. */
function bare(code: Code): Code {
  return { ...code, types: null, source: () => null };
}

/** What is kept must not keep a machine. */
function withoutMachine(options: CompileOptions): CompileOptions {
  return { ...options, mapOf: () => null, isFixed: () => false };
}

function isSame(made: Kept, code: Code, options: CompileOptions): boolean {
  return (
    sameCode(made.code, code) &&
    sameOptions(made.options, options) &&
    [...made.maps].every(([handle, shape]) => shapeOf(options.mapOf(handle)) === shape) &&
    made.accesses.every((each) => options.isFixed(each.address, each.size, each.write) === each.isFixed)
  );
}

const COLUMNS = ["opcode", "dst", "src", "offset", "imm", "high", "target"] as const;

function sameCode(a: Code, b: Code): boolean {
  return (
    a.count === b.count &&
    a.contextBytes === b.contextBytes &&
    a.probes === b.probes &&
    sameItems(a.packetMembers, b.packetMembers) &&
    COLUMNS.every((name) => sameItems(a[name], b[name]))
  );
}

function sameOptions(a: CompileOptions, b: CompileOptions): boolean {
  return (
    a.checked === b.checked &&
    a.stackBase === b.stackBase &&
    a.cpu === b.cpu &&
    a.cpus === b.cpus &&
    a.contextBytes === b.contextBytes &&
    sameItems([...a.helpers], [...b.helpers]) &&
    sameItems([...a.inlines], [...b.inlines])
  );
}

function sameItems(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** All that compiled code takes from a map: its spec's sizes and kinds, and its control block where that does not change. */
function shapeOf(map: VmMap | null): string {
  if (map === null) return "none";
  const { type, keySize, valueSize, flags, data, inner } = map.spec;
  const words = [control.entries, control.base, control.stride, control.cpuOffset].map((at) => map.controlWord(at));
  const inside = inner === undefined ? "" : `${inner.type} ${inner.keySize}`;
  return `${map.id} ${type} ${keySize} ${valueSize} ${flags} ${data?.readOnly === true} [${inside}] ${words.join(" ")}`;
}

function hashOf(code: Code): number {
  let hash = code.count;
  for (let i = 0; i < code.count; i++) {
    hash = Math.imul(
      hash ^ ((code.opcode[i] ?? 0) | ((code.dst[i] ?? 0) << 8) | ((code.src[i] ?? 0) << 12)),
      0x9e3779b1,
    );
    hash = Math.imul(hash ^ (hash >>> 15) ^ (code.imm[i] ?? 0), 0x85ebca6b) ^ (code.offset[i] ?? 0);
  }
  return hash;
}
