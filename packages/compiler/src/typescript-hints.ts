/**
 * @module
 * What kernel TypeScript has in place of JavaScript's library, for who looks for that: hints at TypeScript's own errors.
 */
import { HELPERS } from "./lower/helper-table.ts";

/** Global names of JavaScript. */
const GLOBALS: Readonly<Record<string, string>> = {
  Math: "a > b ? a : b for the larger; getPrandomU32() is random; integers are divided and cut by / and >>",
  console: "printk`text ${value}` writes to the kernel's trace pipe; ringBuf(...) sends records to user space",
  Date: "ktimeGetNs() is the time since boot, ktimeGetTaiNs() the clock of the world",
  performance: "ktimeGetNs() is the time since boot",
  Error: "return a verdict; raise(cookie) ends the program from within a function",
  Number: "u32(x), i32(x) and their like convert",
  BigInt: "u64(x) and i64(x) convert; a literal has n: 5n",
  String: 'text("eth0", 16) is a text as bytes',
  Object: "a struct's fields have names; for..of goes over a list or a map's forEach",
  Map: 'hash("name", { key, value, maxEntries }) is a map that outlives the program',
  Set: 'hash("name", { key, value: u8, maxEntries }) has keys that outlive the program',
  Array: 'array(u32, 4) is a list\'s type; array("name", { value, maxEntries }) a map',
  Uint8Array: "array(u8, 16) is a type of bytes",
  Buffer: "array(u8, 16) is a type of bytes",
  DataView: "ctx.header(Type, offset) views the packet",
  JSON: "seqPrint and printk write text; user space decodes records with Type.decode",
  setTimeout: "Timer, a field of a map's value, runs later: timerInit, timerSetCallback, timerStart",
  setInterval: "Timer, a field of a map's value, runs later: timerInit, timerSetCallback, timerStart",
  process: "getCurrentPidTgid() and getCurrentComm() say which process it is",
  parseInt: "strtol(text, 0n, result) reads a number",
  parseFloat: "there are integers alone; strtol(text, 0n, result) reads one",
  isNaN: "there are integers alone: every one is a number",
  Infinity: "there are integers alone; 0xffffffff is the largest u32",
  require: 'import { ... } from "./other.bpf.ts": kernel modules and @skep/bpf alone',
  structuredClone: "{ ...value } is a copy",
  fetch: "a program sends nothing of its own: ringBuf(...) gives records to user space, which does",
};

const WRITE = "printk`...` writes to the trace pipe, format(bytes)`...` into bytes";
const OVER = "for (const x of list) goes over it: a loop or, where it is short, its rounds one by one";
const FOUND = "for (const x of list) if (x === wanted) ...: a loop or, where it is short, its rounds one by one";
const INDICES = "for (const i of range(list.length)) goes over the indices";

/** Methods of lists. */
const LISTS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(["forEach", "some", "every", "flatMap", "values"].map((name) => [name, OVER])),
  ...Object.fromEntries(["find", "findIndex", "findLast", "includes", "indexOf"].map((name) => [name, FOUND])),
  ...Object.fromEntries(["entries", "keys"].map((name) => [name, INDICES])),
  ...Object.fromEntries(["reduce", "reduceRight"].map((name) => [name, "let sum = 0; for (const x of list) sum += x"])),
  ...Object.fromEntries(
    ["push", "pop", "shift", "unshift", "splice", "concat"].map((name) => [
      name,
      "a list has a fixed length; records for user space go through ringBuf(...).emit, queue(...) has push and pop",
    ]),
  ),
  map: "fill a second one in a loop: for (const i of range(8)) to[i] = from[i] + 1",
  filter: "for (const x of list) if (...): what is not wanted is left out in the loop",
  fill: "Type.zero() is all zeros; for (const i of range(8)) list[i] = x sets the elements",
  at: "list[0] is the first; list[list.length - 1] the last",
  sort: "user space sorts; a program keeps the largest in a variable as it goes over a list",
  slice: "dynptrs and ctx.header(Type, offset) take parts of memory",
  subarray: "dynptrs and ctx.header(Type, offset) take parts of memory",
  join: WRITE,
  toString: WRITE,
};

const TEXTS = 'text("eth0", 16) is a text as bytes, which have indices; strncmp(bytes, "eth0") === 0n compares';
const MAP_ENTRIES = "map.forEach((key, value) => { ... }) goes over the entries, and gives how many";
const PLACE = "map.ref(key) is an integer in the map: const count = map.ref(key); if (count) count.value += 1n";

/** Members that JavaScript has, by the type that TypeScript names. */
const MEMBERS: readonly (readonly [type: RegExp, hint: (member: string) => string | undefined])[] = [
  [/(\[\]|\])$/, (member) => (Object.hasOwn(LISTS, member) ? LISTS[member] : undefined)],
  [/^(string|".*")$/, () => TEXTS],
  [/^RegExp$/, () => 'there are no regular expressions: compare bytes, or strncmp(bytes, "text") === 0n'],
  [/^(number|bigint|[ui](8|16|32|64)|\d+n?)$/, (member) => (/^to|^valueOf/.test(member) ? WRITE : undefined)],
  [/^(BpfMap|PerCpuMap)</, (member) => MAPS[member]],
];

/** Members of JavaScript's maps. */
const MAPS: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(["keys", "values", "entries", "size"].map((name) => [name, MAP_ENTRIES])),
  has: "map.get(key) !== null, or the value itself: const value = map.get(key); if (value) ...",
  add: "map.set(key, 1)",
  clear: "map.forEach((key) => { map.delete(key); })",
};

const LATER = "a program runs to its end: Timer, WorkQueue and TaskWork run later; what takes time is user space's";
const IMPORTS = 'import { ... } from "./other.bpf.ts": kernel modules and @skep/bpf alone';

const VERDICT = "a number is wanted: x ? 1 : 0, or a verdict such as XDP.PASS";

const WIDE = "(?:u64|i64|bigint)";
const NARROW = "(?:number|u8|u16|u32|i8|i16|i32)";
const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [
    new RegExp(`'(?:${NARROW}|\\d+)' is not assignable to (?:type|parameter of type) '${WIDE}'`),
    "u64(...) and i64(...) widen; a literal has n: 5n",
  ],
  [new RegExp(`'(?:${WIDE}|\\d+n)' is not assignable to (?:type|parameter of type) '${NARROW}'`), "u32(...) truncates"],
  [
    new RegExp(`cannot be applied to types '(?:${WIDE}|\\d+n)' and '(?:${NARROW}|\\d+)'`),
    "u64(...) and i64(...) widen; a literal has n: 5n",
  ],
  [
    new RegExp(`cannot be applied to types '(?:${NARROW}|\\d+)' and '(?:${WIDE}|\\d+n)'`),
    "u64(...) and i64(...) widen; u32(...) truncates",
  ],
  [
    /^Argument of type '\(.*\) => [^']*(?:undefined|void)' is not assignable/,
    "every way ends in a verdict, such as return XDP.PASS; list[i] ?? 0 is a number also behind the list's end",
  ],
  [/^Argument of type '\(.*\) => (?:string|boolean|".*")' is not assignable/, VERDICT],
  [/'u32' is not assignable to (?:type|parameter of type) 'i(?:8|16|32)'/, "i32(...) keeps the bits"],
  [
    /have no overlap.*'string'|'string' have no overlap|'"[^']*' have no overlap/,
    'strncmp(bytes, "eth0") === 0n compares with a text; an address is a number: 0x0a000001 is 10.0.0.1',
  ],
  [/^Type '(?:string|boolean)' is not assignable to type 'number'/, VERDICT],
  [/^The left-hand side of an assignment expression must be/, PLACE],
  [/^The operand of an increment or decrement operator/, PLACE],
  [/^Type '(?:BpfMap|PerCpuMap)<.*must have a '\[Symbol\.iterator\]/, MAP_ENTRIES],
  [/type '(?:BpfMap|PerCpuMap)<.*has no index signature/, "map.get(key), map.set(key, value), map.delete(key)"],
  [/can't be used to index type 'unknown'/, "a parameter of type readonly u32[] takes lists of any length"],
  [/^'await' expressions are only allowed/, LATER],
  [/^A dynamic import call returns/, IMPORTS],
];

const ORDER = "be16 and be32 fields are host-order numbers in a program: there is nothing to convert";
/** Names of kernel programs in C. */
const C_NAMES: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ["htons", "htonl", "ntohs", "ntohl"].flatMap((name) => [name, `bpf_${name}`]).map((name) => [name, ORDER]),
  ),
  bpf_map_lookup_elem: "map.get(key), or map.ref(key) for an integer that is to be changed",
  bpf_map_update_elem: "map.set(key, value)",
  bpf_map_delete_elem: "map.delete(key)",
  bpf_for_each_map_elem: "map.forEach((key, value) => { ... })",
  bpf_tail_call: "programs.tailCall(ctx, index), of a progArray(...)",
  bpf_ringbuf_reserve: "ring.reserve() gives a record, ring.emit(value) copies one",
  bpf_ringbuf_output: "ring.emit(value)",

  bpf_repeat: "for (const i of range(n))",
  bpf_for: "for (const i of numbers(from, to))",
};

/** `bpf_ktime_get_ns` is `ktimeGetNs` here. */
function cHint(name: string): string | null {
  if (Object.hasOwn(C_NAMES, name)) return C_NAMES[name] ?? null;
  const [, words = ""] = /^bpf_(\w+)$/.exec(name) ?? [];
  const camel = words.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
  return camel === "printk" || Object.hasOwn(HELPERS, camel) ? `${camel} of @skep/bpf` : null;
}

/** TypeScript's advice on libraries, which kernel TypeScript has none of. */
export function withoutLibrary(text: string): string {
  return text
    .replace(/ Do you need to (?:change your target library|install type definitions)[^]*$/, "")
    .replace(/ (?:Try changing the 'lib'|Make sure you have a declaration for 'Promise').*$/, "");
}

/** What TypeScript adds to its first line, without how the integer types are made. */
export function notesOf(lines: readonly string[]): readonly string[] {
  const inside = lines.findIndex((line) => line.includes('"~int"'));
  return inside < 0 ? lines : lines.slice(0, inside);
}

/** What to write instead; null where there is nothing particular. */
export function hintOf(text: string): string | null {
  const [, name = ""] = /^(?:Cannot find name|)\s*'(\w+)'(?: only refers to a type|\.|$| Do you)/.exec(text) ?? [];
  const known = Object.hasOwn(GLOBALS, name) ? GLOBALS[name] : undefined;
  if (known !== undefined) return known;
  const [, absent = ""] = /(?:^Cannot find name|has no exported member) '(\w+)'/.exec(text) ?? [];
  const inC = cHint(absent);
  if (inC !== null) return inC;
  const [, member = "", type = ""] = /^Property '(\w+)' does not exist on type '([^]*?)'\./.exec(text) ?? [];
  const method = MEMBERS.find(([pattern]) => pattern.test(type))?.[1](member);
  if (method !== undefined) return method;
  const [, cut] =
    /'(?:u16|u32|i16|i32)' is not assignable to (?:type|parameter of type) '([ui](?:8|16))'/.exec(text) ?? [];
  if (cut !== undefined) return `${cut}(...) truncates`;
  return PATTERNS.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}
