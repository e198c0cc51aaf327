/**
 * @module
 * Random well-typed kernel TypeScript: a module of structs, maps, tables, pure functions and XDP programs that the kernel's verifier
 * accepts. The packet begins with a struct `Io`; what a program computes it leaves there, in maps, in globals and in its verdict.
 */
import type { Random } from "../../../ir/test/random.ts";
import { block, print, statement, type Node } from "./nodes.ts";
import { Body, type Feature, type World } from "./body.ts";
import { INTS, isWide, literal, printStruct, randomStruct, type Field, type Struct } from "./types.ts";

export interface FuzzFunction {
  readonly name: string;
  /** Types of the parameters: integers, `bool`, or the name of a struct. */
  readonly params: readonly string[];
  readonly returns: string;
  readonly node: Node;
  readonly features: ReadonlySet<Feature>;
}

export interface FuzzProgram {
  readonly name: string;
  readonly node: Node;
  readonly features: ReadonlySet<Feature>;
  /** Of a program that only calls a pure function: which, and the fields of `Io` that it passes; the result is in `o0`. */
  readonly twin?: { readonly function: string; readonly args: readonly string[] };
}

export interface FuzzModule {
  readonly seed: number;
  readonly head: string;
  readonly functions: readonly FuzzFunction[];
  readonly programs: readonly FuzzProgram[];
}

export const OUTPUTS = 8;
/** A function that tells where the fields of `Io` lie. */
export const LAYOUT = "layoutOf";
const IMPORTS =
  "array, atomicAdd, atomicAnd, atomicCompareExchange, atomicExchange, atomicOr, atomicXor, be16, be32, be64, bits, bool, config, global, " +
  "hash, i16, i32, i64, i8, loop, range, struct, subprogram, u16, u32, u64, u8, xdp, type Of, type XdpContext";

function ioStruct(inner: Struct): Struct {
  const int = (name: string, type: (typeof INTS)[number]): Field => ({ name, type: { kind: "int", type } });
  return {
    name: "Io",
    fields: [
      ...Array.from({ length: OUTPUTS }, (_, at) => int(`o${at}`, "u64")),
      ...INTS.flatMap((type) => [int(`${type}a`, type), int(`${type}b`, type)]),
      { name: "b16", type: { kind: "be", type: "be16" } },
      { name: "b32", type: { kind: "be", type: "be32" } },
      { name: "b64", type: { kind: "be", type: "be64" } },
      { name: "flag", type: { kind: "int", type: "u8" } },
      { name: "list", type: { kind: "array", type: "u32", length: 4 } },
      { name: "inner", type: { kind: "struct", struct: inner } },
    ],
  };
}

function makeWorld(random: Random): World {
  // A boolean of the packet may hold any byte there, which is no value of the type.
  const noBools = (struct: Struct): Struct => ({
    ...struct,
    fields: struct.fields.filter((field) => field.type.kind !== "bool"),
  });
  const small = noBools(randomStruct(random, "Small", { most: 2 }));
  const large = randomStruct(random, "Large", { most: 2, inner: small });
  const io = ioStruct(small);
  const tables = [0, 1].map((at) => {
    const type = random.pick(["u8", "u32", "u64", "i32"] as const);
    const length = random.pick([4, 8, 16]);
    const values = Array.from({ length }, () => literal(random, type).replace(/[()]/g, ""));
    return { name: `TABLE${at}`, type, length, text: `const TABLE${at} = [${values.join(", ")}] as const;\n` };
  });
  return {
    small,
    large,
    io,
    tables: tables.map((table) => ({ ...table, wide: isWide(table.type) })),
    globals: [
      { name: "g0", type: random.pick(INTS) },
      { name: "g1", type: random.pick(INTS) },
    ],
    functions: [],
  };
}

function head(world: World, random: Random): string {
  const [first, second] = world.globals;
  if (!first || !second) throw new Error("two globals");
  return [
    `import { ${IMPORTS} } from "@skep/bpf";\n`,
    'export const license = "GPL";\n',
    printStruct(world.small),
    printStruct(world.large),
    printStruct(world.io),
    `const Key = struct("Key", { a: u32, b: u16 });\n`,
    `export const arr = array("arr", { value: Large, maxEntries: 4 });\n`,
    `export const num = array("num", { value: u32, maxEntries: 8 });\n`,
    `export const tab = hash("tab", { key: u32, value: Small, maxEntries: 16 });\n`,
    `export const cnt = hash("cnt", { key: Key, value: u64, maxEntries: 16 });\n`,
    `export const g0 = global("g0", ${first.type});\n`,
    `export const g1 = global("g1", ${second.type}, ${literal(random, second.type)});\n`,
    `export const limit = config("limit", u32, ${random.below(1000)});\n`,
    ...world.tables.map((table) => table.text),
    `export function ${LAYOUT}(io: Io): u8 {\n  return io.flag;\n}\n`,
  ].join("");
}

function pureFunction(random: Random, world: World, name: string): FuzzFunction {
  const withStruct = random.chance(30);
  const scalars = Array.from({ length: 1 + random.below(4) }, () =>
    random.chance(8) ? "bool" : (random.pick(INTS) as string),
  );
  const params = withStruct ? [world.small.name, ...scalars] : scalars;
  const returns = random.chance(8) ? "bool" : random.pick(INTS);
  const outlined = !withStruct && random.chance(25);
  const body = new Body(random, world, { returns, statements: 3 + random.below(3) });
  if (outlined) body.note("subprogram");
  const list = params.map((type, at) => {
    if (type === world.small.name) body.addReference(`p${at}`, world.small, "stack");
    else body.addVariable(`p${at}`, type, { mutable: !outlined || random.chance(50) });
    return `p${at}: ${type === "bool" ? "boolean" : type}`;
  });
  body.fill(1 + random.below(3));
  body.finishWith(statement("return ", body.value(returns, 3), ";"));
  const signature = `(${list.join(", ")}): ${returns === "bool" ? "boolean" : returns}`;
  const node = outlined
    ? statement(`export const ${name} = subprogram(${signature} => `, body.block(), ");")
    : statement(`export function ${name}${signature} `, body.block());
  return { name, params, returns, node, features: body.features };
}

/** A program that does nothing but call a pure function with what the packet holds. */
function twinProgram(fn: FuzzFunction, world: World, name: string): FuzzProgram {
  const used = new Map<string, number>();
  const args = fn.params.map((type) => {
    if (type === world.small.name) return "inner";
    if (type === "bool") return "flag";
    const count = used.get(type) ?? 0;
    used.set(type, count + 1);
    return `${type}${count % 2 === 0 ? "a" : "b"}`;
  });
  const call = `${fn.name}(${args.map((arg) => (arg === "flag" ? "(io.flag & 1) !== 0" : `io.${arg}`)).join(", ")})`;
  const body = block([
    statement("const io = ctx.header(Io, 0);"),
    statement("if (!io) return 0;"),
    statement(`io.o0 = u64(${call});`),
    statement("return 2;"),
  ]);
  const node = statement(`export const ${name} = xdp("${name}", (ctx) => `, body, ");");
  const features = new Set<Feature>([...fn.features, "twin", "packet"]);
  return { name, node, features, twin: { function: fn.name, args } };
}

function fullProgram(random: Random, world: World, name: string): FuzzProgram {
  const body = new Body(random, world, { returns: "u32", hasContext: true, statements: 3 + random.below(3) });
  body.note("packet");
  body.addReference("io", world.io, "packet");
  for (let at = 0; at < 2 + random.below(2); at++) body.declare();
  // Most have all of what is hardest to get right together.
  const size = random.below(4);
  if (random.chance(75)) {
    body.fill(size >> 1);
    body.loopStatement();
    body.mapStatement();
    body.divide64();
    body.fill(size >> 1);
  } else body.fill(1 + size);
  body.outputs(OUTPUTS);
  body.finishWith(statement("return ", body.value("u32", 2), ";"));
  const start = [statement("const io = ctx.header(Io, 0);"), statement("if (!io) return 0;")];
  const node = statement(`export const ${name} = xdp("${name}", (ctx) => `, body.block(start), ");");
  return { name, node, features: body.features };
}

export function generateModule(
  random: Random,
  seed: number,
  options: { functions: number; programs: number },
): FuzzModule {
  const world = makeWorld(random);
  const text = head(world, random);
  const functions: FuzzFunction[] = [];
  for (let at = 0; at < options.functions; at++) {
    const fn = pureFunction(random, { ...world, functions: random.chance(50) ? functions.slice(0, 2) : [] }, `f${at}`);
    functions.push(fn);
  }
  const callable: World = { ...world, functions };
  const programs = functions.map((fn, at) => twinProgram(fn, world, `t${at}`));
  for (let at = 0; at < options.programs; at++) programs.push(fullProgram(random, callable, `p${at}`));
  return { seed, head: text, functions, programs };
}

export function printModule(module: FuzzModule): string {
  const parts = [...module.functions, ...module.programs].map((part) => `${print(part.node)}\n`);
  return module.head + parts.join("");
}
