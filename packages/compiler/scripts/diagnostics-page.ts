import { PROBLEMS, type Problem } from "../src/diagnostics.ts";

/** The program of `testdata/wrong` that shows a problem. */
export const EXAMPLES: Readonly<Record<Exclude<keyof typeof PROBLEMS, "noFile" | "internal">, string>> = {
  unsupported: "for-in",
  notConstant: "map-size-not-constant",
  unknownName: "declared-only",
  notCallable: "call-type",
  noMember: "dynptr-member",
  recursion: "recursion",
  notCallableSo: "printk-called",
  noPrograms: "no-programs",
  topLevelStatement: "top-level-statement",
  topLevelLet: "top-level-let",
  doesNotFit: "sum-too-wide",
  literalDoesNotFit: "negative-in-unsigned",
  mixedSigns: "mixed-signs-add",
  mixedKinds: "mixed-kinds",
  notInteger: "fraction",
  shiftTooFar: "shift-too-far",
  alwaysSame: "compare-byte",
  divisionByZero: "division-by-zero",
  wantsInteger: "context-as-integer",
  bitFieldOverflow: "bit-field-overflow",
  wantsType: "wrong-struct",
  missingField: "missing-field-cast",
  unknownField: "missing-field-cast",
  readOnly: "kconfig-written",
  badStruct: "struct-field-type",
  badName: "bad-name",
  nameClash: "name-clash",
  duplicateName: "duplicate-map",
  outOfRange: "index-outside-number",
  notIterable: "iterate-cast",
  differentMemory: "two-memories",
  cannotJoin: "tuples-of-two-lengths",
  duplicateType: "duplicate-type",
  badArray: "array-length",
  noPlace: "top-level-let",
  badBits: "bits-width",
  mayBeNull: "null-cast",
  captured: "captured-object",
  capturedReference: "captured-reference",
  capturesLater: "timer-captures",
  capturesNothing: "rbtree-captures",
  ownedPointer: "kptr-assigned",
  wantsNode: "rbroot-field",
  readAgain: "kptr-read-again",
  constantOffset: "argument-index",
  badMapOption: "frames-too-deep",
  lpmKey: "trie-key",
  ringSize: "ring-size",
  mapMethod: "queue-forEach",
  keyTooLarge: "key-too-large",
  arenaMemory: "arena-to-helper",
  wrongProgram: "helper-adjust-head-in-tc",
  needsGpl: "license-timer",
  returnRange: "return-range",
  noReturn: "no-return-cast",
  tooManyArguments: "subprogram-parameters",
  wantsContext: "not-a-context",
  wantsMemory: "syscall-of-integer",
  programPlace: "program-in-function",
  stalePacket: "stale-header",
  printkValues: "printk-values",
  packetOffset: "packet-offset",
  stackTooLarge: "stack-too-large",
  subprogramParameter: "subprogram-list",
  needsKernelType: "tasks-untyped",
  leavesFunction: "assert-in-callback",
};

function section(name: keyof typeof EXAMPLES, read: (name: string) => string): string {
  const problem: Problem = PROBLEMS[name];
  const example = EXAMPLES[name];
  const told = read(`${example}.diag`).trimEnd();
  const hint = problem.hint === undefined ? "" : `\nHint: ${problem.hint}\n`;
  return `## ${problem.code}\n\n${problem.message}\n${hint}\n\`\`\`ts\n${read(`${example}.bpf.ts`).trimEnd()}\n\`\`\`\n\n\`\`\`text\n${told}\n\`\`\`\n`;
}

/** The page; `read` gives a file of `testdata/wrong`. */
export function diagnosticsPage(read: (name: string) => string): string {
  const names = Object.keys(EXAMPLES) as (keyof typeof EXAMPLES)[];
  const head = `# Diagnostics of the compiler

Every code that the compiler tells, with a program that it is told of and what is shown then. \`{0}\` and \`{1}\` stand for what differs. Codes of
TypeScript itself (TS...) are TypeScript's; those of code generation (SKEP2...) are about stack, jumps and instruction sets. A program is
refused for all that is wrong with it at once. ${PROBLEMS.noFile.code} is a file that cannot be read, ${PROBLEMS.internal.code} a failure of the compiler itself.
`;
  return `${head}\n<!-- prettier-ignore-start -->\n\n${names.map((name) => section(name, read)).join("\n")}\n<!-- prettier-ignore-end -->\n`;
}
