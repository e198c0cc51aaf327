/**
 * @module
 * What kernel TypeScript has in place of JavaScript's library, for who looks for that: hints at TypeScript's own errors.
 */

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
};

const OVER = "for (const x of list) goes over it: a loop or, where it is short, its rounds one by one";
/** Methods of lists. */
const METHODS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(["map", "forEach", "reduce", "filter", "some", "every"].map((name) => [name, OVER])),
  ...Object.fromEntries(["find", "findIndex", "includes", "indexOf"].map((name) => [name, OVER])),
  push: "a list has a fixed length; records for user space go through ringBuf(...).emit",
  slice: "dynptrs and ctx.header(Type, offset) take parts of memory",
  join: "printk`...` and format(buffer)`...` write text",
};

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
];

/** TypeScript's advice on libraries, which kernel TypeScript has none of. */
export function withoutLibrary(text: string): string {
  return text.replace(/ Do you need to change your target library\?.*$/, "").replace(/ Try changing the 'lib'.*$/, "");
}

/** What to write instead; null where there is nothing particular. */
export function hintOf(text: string): string | null {
  const [, name = ""] = /^(?:Cannot find name|)\s*'(\w+)'(?: only refers to a type|\.|$| Do you)/.exec(text) ?? [];
  const known = Object.hasOwn(GLOBALS, name) ? GLOBALS[name] : undefined;
  if (known !== undefined) return known;
  const [, method = ""] = /^Property '(\w+)' does not exist on type '.*\[\]'/.exec(text) ?? [];
  if (Object.hasOwn(METHODS, method)) return METHODS[method] ?? null;
  return PATTERNS.find(([pattern]) => pattern.test(text))?.[1] ?? null;
}
