/**
 * @module
 * The rules that a program must keep: one code each, what it says, and what usually mends a breach.
 */

export const rules = {
  // 1: the code itself
  malformed: [
    "VER1001",
    "An instruction that does not exist, or with a field that it does not use.",
    "Take it out, or let the compiler emit it anew.",
  ],
  "jump-target": [
    "VER1002",
    "A jump or call that leads out of its function or to no instruction.",
    "Jump only within the function.",
  ],
  unreachable: ["VER1003", "Code that nothing reaches.", "Delete it; a function that nobody calls too."],
  "falls-off": ["VER1004", "A function does not end with exit or a jump.", "End it with exit."],
  "too-many": [
    "VER1005",
    "More functions or maps than a program may have.",
    "Split the program; tail calls join the parts.",
  ],
  unresolved: [
    "VER1006",
    "A reference to a map, function or symbol that is not known here.",
    "Define it, or give the kernel's types.",
  ],
  "unused-function": [
    "VER1007",
    "A global function cannot be verified by its prototype.",
    "Give its parameters types that the kernel knows: numbers, the context, pointers to structs.",
  ],
  "program-type": [
    "VER1008",
    "A program type, attach type or target that cannot be verified.",
    "Name a type of the kernel's.",
  ],
  "too-new": [
    "VER1009",
    "Something that the kernel in question does not have yet.",
    "Do without it, or ask for a newer kernel.",
  ],
  // 2: registers and arithmetic
  uninitialised: [
    "VER2001",
    "A register is read before anything was written to it.",
    "Give it a value on every path. A call destroys r1 to r5.",
  ],
  "frame-pointer": ["VER2002", "r10 is written.", "Copy it to another register first."],
  "pointer-arithmetic": [
    "VER2003",
    "Arithmetic that no pointer allows.",
    "Only add to and subtract from pointers, in 64 bits.",
  ],
  "shift-width": ["VER2005", "A shift by as many bits as the register has, or more.", "Shift by less than the width."],
  "divide-by-zero": ["VER2006", "A division by the constant zero.", "Divide by something else."],
  "offset-range": ["VER2007", "A pointer moves too far.", "Bound the number that is added: `& mask`, or a comparison."],
  "pointer-bounds": [
    "VER2008",
    "A number that is added to a pointer has no usable bounds.",
    "Bound it from below and above before it is added.",
  ],
  // 3: memory
  "not-a-pointer": [
    "VER3001",
    "Memory is accessed through something that is no pointer to it.",
    "Keep the pointer whole: no 32-bit copies, no partial stores.",
  ],
  "maybe-null": [
    "VER3002",
    "A pointer that may be null is used.",
    "Compare it with null first, and use it where it is not.",
  ],
  "stack-bounds": ["VER3003", "An access outside of the stack frame.", "A frame has 512 bytes below r10."],
  "stack-alignment": ["VER3004", "An access to the stack that is not aligned to its size.", "Align it."],
  "stack-variable": ["VER3005", "An access to the stack at an offset without bounds.", "Bound the offset."],
  "value-bounds": [
    "VER3006",
    "An access outside of a map's value.",
    "Bound the index below the size of the value before it is added.",
  ],
  "packet-bounds": [
    "VER3007",
    "An access to the packet that no comparison with its end covers.",
    "Compare pointer + size with data_end first, and use the pointer that was compared.",
  ],
  "memory-bounds": ["VER3008", "An access outside of the memory that a pointer covers.", "Stay within its size."],
  "negative-offset": ["VER3009", "An offset that can be negative.", "Compare with 0 first, or use an unsigned number."],
  "unbounded-offset": ["VER3010", "An offset that can be anything.", "Bound it: `& mask`, or a comparison."],
  "context-access": [
    "VER3011",
    "A field of the context that this program cannot use so.",
    "Use the field with its own size; some may only be read.",
  ],
  "context-modified": ["VER3012", "The context through a pointer that was moved.", "Put the offset into the access."],
  "read-only": ["VER3013", "A write to memory that may only be read.", "Write elsewhere."],
  "packet-write": ["VER3014", "This program type may not write to packets.", "Use the helper that stores bytes."],
  misaligned: ["VER3015", "An access that is not aligned to its size.", "Align it."],
  "special-field": [
    "VER3016",
    "A field that only helpers may touch: lock, timer, kernel pointer, list, tree.",
    "Use the helper for it.",
  ],
  "kernel-object": [
    "VER3017",
    "An access to a kernel object that its type does not allow.",
    "Read a field of the type, at its place, with its size.",
  ],
  "pointer-leak": ["VER3018", "A pointer is stored where it may not be.", "Store a number."],
  atomic: [
    "VER3019",
    "An atomic operation on memory that has none.",
    "Use it on the stack, map values or memory that is the program's.",
  ],
  "write-only": ["VER3020", "A read of memory that may only be written.", "Read elsewhere."],
  "uninitialised-stack": [
    "VER3021",
    "A helper's result object is read in parts, or its memory is reused.",
    "Keep dynptrs and iterators untouched while they live.",
  ],
  arena: [
    "VER3022",
    "An arena is used that the program does not have.",
    "Declare the arena map and use it in the program.",
  ],
  // 4: calls
  "unknown-helper": [
    "VER4001",
    "A helper that does not exist, or that this program type cannot call.",
    "Use a helper of this type.",
  ],
  licence: [
    "VER4002",
    "A helper that only programs with a GPL-compatible licence may call.",
    "Give the object a licence such as GPL or Dual MIT/GPL.",
  ],
  "argument-type": ["VER4003", "An argument of another type than the function wants.", "Pass what its signature says."],
  "argument-size": [
    "VER4004",
    "A size argument that can be zero, negative or too large.",
    "Bound it: `& mask`, or a comparison with a constant.",
  ],
  "argument-constant": ["VER4005", "An argument that must be a constant.", "Pass a constant."],
  "map-and-helper": ["VER4006", "A helper that does not go with this type of map.", "Use the helper made for the map."],
  "packet-argument": ["VER4008", "A packet pointer where the helper takes none.", "Copy the bytes to the stack first."],
  callback: ["VER4009", "A callback that is none, or that does not fit.", "Pass a static function of the program."],
  sleeps: [
    "VER4010",
    "A call that may sleep where sleeping is not allowed.",
    "Make the program sleepable (section ending in .s), or leave the critical section first.",
  ],
  "unknown-kfunc": [
    "VER4011",
    "A kernel function that does not exist or that this program cannot call.",
    "Look it up in the kernel's types.",
  ],
  untrusted: [
    "VER4012",
    "A kernel pointer that is not trusted where a trusted one is needed.",
    "Take it from an argument or an acquiring call.",
  ],
  format: ["VER4013", "A format text that cannot be checked.", "Use a constant text in a frozen, read-only section."],
  dynptr: [
    "VER4014",
    "A dynptr that is not initialised, initialised twice, or of another kind.",
    "Make it once, with the helper for its kind.",
  ],
  iterator: [
    "VER4015",
    "An iterator that is not made, made twice, or not destroyed.",
    "new, next until null, destroy.",
  ],
  "tail-call": [
    "VER4016",
    "A tail call where none may be.",
    "Make it from a function that returns int, outside of locks and callbacks.",
  ],
  // 5: references and locks
  "reference-leak": ["VER5001", "Something that was acquired is not given back.", "Release it on every path."],
  release: [
    "VER5002",
    "Something is released that was not acquired, or in parts.",
    "Release the pointer that the acquiring call gave, once.",
  ],
  "lock-state": [
    "VER5003",
    "A lock is taken twice, or given back without being held.",
    "Take it once, give it back once.",
  ],
  "lock-held": ["VER5004", "Something that may not be done while a lock is held.", "Give the lock back first."],
  "section-open": [
    "VER5005",
    "A read or preemption section is left open, or closed twice.",
    "Close what was opened, on every path.",
  ],
  // 6: complexity
  "too-complex": [
    "VER6001",
    "The budget of instructions is used up.",
    "Fewer paths: bound loops, merge checks, move code into global functions.",
  ],
  "infinite-loop": [
    "VER6002",
    "A loop that comes back with nothing changed.",
    "Count in a register, and compare the count with a bound.",
  ],
  "call-depth": ["VER6003", "Calls nest too deeply.", "At most 8 frames; no recursion."],
  "stack-depth": [
    "VER6004",
    "The frames of nested calls need more than 512 bytes together.",
    "Use less stack, or a per-CPU array.",
  ],
  "too-many-branches": ["VER6005", "Too many branches wait to be walked.", "Fewer conditions in a row."],
  // 7: results
  "return-range": [
    "VER7001",
    "The program returns what its type does not allow.",
    "Return one of the values of its type.",
  ],
  "return-pointer": ["VER7002", "A function returns a pointer that it may not give away.", "Return a number."],
  "void-return": ["VER7003", "The program ends without a result.", "Set r0 before exit."],
  // 8: users without CAP_BPF or CAP_PERFMON
  privilege: [
    "VER8001",
    "Something that only users with CAP_BPF or CAP_PERFMON may do.",
    "Do without it, or let a user load the program who may.",
  ],
  "address-leak": [
    "VER8002",
    "Where something is in the kernel would be told to a user without CAP_PERFMON.",
    "Keep pointers in registers and whole on the stack: store, return, pass and compare what they point to.",
  ],
  speculation: [
    "VER8003",
    "Pointer arithmetic that cannot be held in bounds where the CPU runs ahead, for a user without CAP_PERFMON.",
    "Move pointers to the stack and into map values by constants, or by numbers with one sign that keep them inside.",
  ],
  "unwritten-stack": [
    "VER8004",
    "Stack that was never written is read, for a user without CAP_PERFMON.",
    "Write all bytes first, padding too.",
  ],
} as const satisfies Readonly<Record<string, readonly [code: string, reason: string, mend: string]>>;

export type Rule = keyof typeof rules;

/** Rules for users without privilege: nothing breaks them where the user has all. */
export const privilegeRules: readonly Rule[] = ["privilege", "address-leak", "speculation", "unwritten-stack"];

/** The codes of this package's refusals. */
export const verifierCodes: Readonly<Record<string, string>> = Object.fromEntries(
  Object.values(rules).map(([code, reason]) => [code, reason]),
);

/** Where a rule is broken; caught at the top, never seen outside. */
export class Breach extends Error {
  readonly rule: Rule;
  readonly at: number;
  /** Values that what is known allows, and that break the rule. */
  readonly example: string | null;

  constructor(rule: Rule, message: string, place: { readonly at: number; readonly example: string | null }) {
    super(message);
    this.rule = rule;
    this.at = place.at;
    this.example = place.example;
  }
}
