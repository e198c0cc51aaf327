/**
 * @module
 * What to write in place of what has no meaning in a kernel program, by how the diagnostic names it.
 */

const LATER = "a program runs to its end: Timer, WorkQueue and TaskWork run later; what takes time is user space's";
const TYPES = "the compiler knows the type: typeof stands in types alone, such as Of<typeof Key>";
const NO_ERRORS = "nothing throws: helpers give a negative errno or null to check; try { } finally { } releases a lock";

const NAMED: Readonly<Record<string, string>> = {
  "for..in": "for (const x of list) goes over a list; the fields of a struct are named one by one",
  catch: NO_ERRORS,
  throw: "return a verdict; raise(cookie) ends the program from within a function",
  async: LATER,
  "a class": "struct(...) has the fields, and functions take it",
  "a namespace": "a module of its own, with import",
  debugger: "printk`...` writes to the kernel's trace pipe",
  with: "const { a, b } = value gives names to fields",
  "'in'": "a struct's fields are known; exists(value.field) asks whether the running kernel's structure has one",
  "'instanceof'": "the compiler knows the type; null is what may be absent",
  "a method in a value": "a function beside it takes the value",
  "a variable without a type and a value": "let x: u32 = 0",
};

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/^comparing \w+\[\d+\]/, 'compare the elements in a loop; strncmp(bytes, "eth0") === 0n compares with a text'],
  [
    /^comparing .* with \w+\[\d+\]$/,
    'compare the elements in a loop; strncmp(bytes, "eth0") === 0n compares with a text',
  ],
  [/^comparing /, "compare their fields"],
  [/^'await\b/, LATER],
  [/^'typeof\b/, TYPES],
  [/^'new\b/, "{ a: 1 } and Type.zero() are values; objNew(Type) allocates one"],
  [/^'delete\b/, "map.delete(key) takes an entry out; a field is set to 0"],
  [/^'yield\b/, "for..of goes over lists, range(from, to) and the kernel's iterators"],
  [/^'\//, 'there are no regular expressions: compare bytes, or strncmp(bytes, "text") === 0n'],
];

/** null where there is nothing particular. */
export function unsupportedHint(what: string): string | null {
  if (Object.hasOwn(NAMED, what)) return NAMED[what] ?? null;
  return PATTERNS.find(([pattern]) => pattern.test(what))?.[1] ?? null;
}
