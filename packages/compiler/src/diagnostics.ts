/**
 * @module
 * Every problem that the compiler names: code, text, hint. `{0}` and `{1}` stand for what differs. docs and fixtures follow this table.
 */

export interface Problem {
  readonly code: string;
  readonly message: string;
  readonly hint?: string;
}

export const PROBLEMS = {
  // What is not kernel TypeScript.
  unsupported: { code: "SKEP1001", message: "{0} has no meaning in a kernel program" },
  notConstant: {
    code: "SKEP1002",
    message: "{0} must be known at compile time",
    hint: "use literals, const declarations and arithmetic on them",
  },
  unknownName: {
    code: "SKEP1003",
    message: "'{0}' has no value in a kernel program",
    hint: 'its own: global("{0}", u32); the kernel\'s, one for each CPU: declare const {0}: PerCpuObject<T>; its address: ksymAddress("{0}")',
  },
  notCallable: { code: "SKEP1004", message: "{0} cannot be called" },
  noMember: { code: "SKEP1005", message: "{0} has no member '{1}'" },
  recursion: {
    code: "SKEP1006",
    message: "'{0}' calls itself",
    hint: "the kernel allows no recursion: use a bounded loop",
  },
  notCallableSo: { code: "SKEP1007", message: "{0} cannot be called like this" },
  noFile: { code: "SKEP1009", message: "file '{0}' cannot be read" },
  noPrograms: {
    code: "SKEP1010",
    message: "the module exports no program and no map",
    hint: 'export const name = tc("name", (ctx) => ...)',
  },
  topLevelStatement: {
    code: "SKEP1011",
    message: "{0} cannot stand at the top level of a kernel module",
    hint: "the top level is evaluated by the compiler: imports, const, functions and types",
  },
  topLevelLet: {
    code: "SKEP1012",
    message: "'{0}' is a variable of the module",
    hint: 'declare it const, or keep it in memory: global("{0}", u32)',
  },

  // Integers.
  doesNotFit: { code: "SKEP1101", message: "{0} does not fit {1}", hint: "{1}(...) truncates" },
  literalDoesNotFit: { code: "SKEP1102", message: "{0} does not fit {1}" },
  mixedSigns: {
    code: "SKEP1103",
    message: "{0} and {1} differ in sign",
    hint: "convert one of them, such as {1}(...)",
  },
  mixedKinds: {
    code: "SKEP1104",
    message: "{0} and {1} do not mix",
    hint: "u64(...) widens, u32(...) truncates",
  },
  notInteger: { code: "SKEP1105", message: "{0} is no integer", hint: "multiply first, then divide: x * 3 / 2" },
  shiftTooFar: { code: "SKEP1106", message: "{0} has {1} bits: the shift is too far" },
  alwaysSame: { code: "SKEP1107", message: "{0} is never {1}: the comparison does not depend on it" },
  divisionByZero: { code: "SKEP1108", message: "division by zero" },
  wantsInteger: { code: "SKEP1109", message: "{0} stands where an integer is wanted" },
  bitFieldOverflow: { code: "SKEP1110", message: "{0} does not fit the {1} bits of the field", hint: "mask it" },

  // Types and values.
  wantsType: { code: "SKEP1201", message: "{0} stands where a value of type {1} is wanted" },
  missingField: { code: "SKEP1202", message: "'{1}' of {0} has no value", hint: "every field of a literal is given" },
  unknownField: { code: "SKEP1203", message: "{0} has no field '{1}'" },
  readOnly: { code: "SKEP1205", message: "{0} cannot be assigned" },
  badStruct: { code: "SKEP1206", message: "{0} is no type that a field can have" },
  badName: { code: "SKEP1207", message: '"{0}" is no name: letters, digits and _, not a digit first' },
  nameClash: {
    code: "SKEP1208",
    message: '"{0}" and "{1}" are one name to the kernel, which keeps 15 bytes',
    hint: "make them differ in their first 15 characters",
  },
  duplicateName: { code: "SKEP1209", message: 'the name "{0}" is used twice' },
  outOfRange: { code: "SKEP1210", message: "index {0} is outside of the array's {1} elements" },
  notIterable: {
    code: "SKEP1211",
    message: "{0} cannot be iterated",
    hint: "range(n), arrays and `as const` lists can",
  },
  differentMemory: {
    code: "SKEP1212",
    message: "'{0}' refers to {1} here and to other memory elsewhere",
    hint: "use two variables, or copy with a spread",
  },
  cannotJoin: { code: "SKEP1213", message: "{0} and {1} cannot be one value" },
  duplicateType: { code: "SKEP1214", message: 'two different types are named "{0}"' },
  badArray: { code: "SKEP1215", message: "{0} is no length of an array" },
  noPlace: { code: "SKEP1216", message: "{0} cannot be assigned to" },
  badBits: { code: "SKEP1217", message: "{0} has no {1} bits" },
  mayBeNull: { code: "SKEP1218", message: "{0} may be null here", hint: "check it first" },
  captured: {
    code: "SKEP1219",
    message: "{0} cannot be captured by a callback",
    hint: "take out what the callback needs into a const before",
  },
  capturedReference: {
    code: "SKEP1220",
    message: "'{0}' is assigned in a callback: it could refer to what is gone when the callback ends",
  },
  capturesLater: {
    code: "SKEP1221",
    message: "the callback runs later: it cannot capture '{0}'",
    hint: "keep what it needs in the map's value",
  },

  capturesNothing: {
    code: "SKEP1222",
    message: "the kernel gives this callback nothing of its own: it cannot capture '{0}'",
    hint: "keep what it needs in the objects that it compares",
  },
  ownedPointer: {
    code: "SKEP1223",
    message: "{0} goes into a field that owns what it points to: it is exchanged, not assigned",
    hint: 'kptrXchg(value, "field", pointer) puts a pointer in and gives the old one',
  },
  wantsNode: {
    code: "SKEP1224",
    message: "'{1}' of {0} is no {2}",
    hint: "the struct declares it, such as node: RbNode or uses: Refcount",
  },

  readAgain: {
    code: "SKEP1225",
    message: "{0} is read anew here: what it pointed to may be gone",
    hint: "read it into a const, and check that",
  },

  constantOffset: {
    code: "SKEP1226",
    message: "{0}: the kernel lets programs write there at constant indices only",
    hint: "work on a copy and assign the whole",
  },

  // Maps.
  badMapOption: { code: "SKEP1301", message: "{0} of a map is {1}" },
  lpmKey: {
    code: "SKEP1302",
    message: "the key of a trie begins with a u32 that counts bits",
    hint: "prefixLength: u32",
  },
  ringSize: { code: "SKEP1303", message: "a ring has a power of two of bytes, at least 4096: not {0}" },
  mapMethod: { code: "SKEP1304", message: "a map of type {0} has no '{1}'" },
  keyTooLarge: { code: "SKEP1305", message: "a {0} of {1} bytes is more than the kernel takes ({2})" },

  arenaMemory: {
    code: "SKEP1306",
    message: "{0} cannot be given what lies in an arena",
    hint: "copy it with a spread, such as { ...node }",
  },

  // Programs, contexts and helpers.
  wrongProgram: {
    code: "SKEP1401",
    message: "{0} cannot be used in a program of type {1}",
    hint: "it may be used in: {2}",
  },
  needsGpl: {
    code: "SKEP1402",
    message: '{0} is for GPL-compatible programs only; this one\'s licence is "{1}"',
    hint: 'export const license = "GPL"',
  },
  returnRange: { code: "SKEP1403", message: "a program of type {0} returns {1} to {2}, not {3}" },
  noReturn: { code: "SKEP1404", message: "'{0}' ends without a return value" },
  tooManyArguments: { code: "SKEP1405", message: "{0} takes at most {1} arguments" },
  wantsContext: { code: "SKEP1406", message: "{0} wants the program's context" },
  wantsMemory: {
    code: "SKEP1407",
    message: "{0} wants a value in memory",
    hint: "a struct, a union or a fixed array",
  },
  programPlace: { code: "SKEP1408", message: "{0} is declared at the top level of a module" },
  stalePacket: {
    code: "SKEP1409",
    message: "'{0}' points into a packet that has moved since",
    hint: "read the header again after {1}",
  },
  printkValues: { code: "SKEP1410", message: "printk takes at most {0} values" },
  packetOffset: { code: "SKEP1411", message: "a packet has no offset {0}" },
  stackTooLarge: { code: "SKEP1412", message: "{0} has {1} bytes; the stack of a program has 512" },
  subprogramParameter: {
    code: "SKEP1413",
    message: "{0} cannot be a parameter of a subprogram",
    hint: "integers, booleans, the context, and values in memory can",
  },
  needsKernelType: {
    code: "SKEP1414",
    message: "{0} wants a kernel structure's type",
    hint: "an interface that `skep btf types` wrote, such as task_struct",
  },

  leavesFunction: {
    code: "SKEP1415",
    message: "{0} ends the program, which a subprogram or a callback cannot do",
    hint: "return to where it was called, or raise()",
  },

  internal: { code: "SKEP1999", message: "the compiler failed here: {0}", hint: "please report this with the source" },
} as const satisfies Readonly<Record<string, Problem>>;

export type ProblemName = keyof typeof PROBLEMS;

/** The text with its values put in. */
export function fill(text: string, values: readonly string[]): string {
  return text.replace(/\{(\d)\}/g, (whole, at: string) => values[Number(at)] ?? whole);
}
