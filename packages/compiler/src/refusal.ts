/**
 * @module
 * The kernel's refusal of a program as a diagnostic: on the TypeScript line, with the values that mattered and, where the kernel's words
 * are a known kind, what mends it.
 */
import type { Diagnostic } from "@skep/isa";

/** What a loader knows of a refusal: `VerifierError` of `@skep/linux` is one. */
export interface Refusal {
  readonly program: string;
  /** What the verifier says. */
  readonly summary: string;
  readonly source: {
    readonly file: string;
    readonly line: number;
    readonly column: number;
    readonly text: string;
  } | null;
  /** What was refused, as the kernel writes it. */
  readonly instruction: { readonly slot: number; readonly text: string } | null;
  /** By the kernel's names: what was known before the instruction. */
  readonly registers: Readonly<Record<string, string>>;
}

const CODE = "SKEP3001";

const MENDS: readonly (readonly [RegExp, string])[] = [
  [/_or_null'?/, "it may be null here: check it before it is used"],
  [
    /inside bpf_spin_lock-ed region|bpf_spin_unlock is missing/,
    "give the lock back on every way out: try { ... } finally { spinUnlock(lock) }",
  ],
  [/^(release .*expects|R1 must be referenced$)|type=scalar expected=/, "it is gone: it was given back before"],
  [
    /must be referenced or trusted/,
    "hold a reference of one's own, such as bpf_task_acquire(task) until bpf_task_release(task)",
  ],
  [
    /invalid mem access 'scalar'/,
    "it points to nothing any more: it was given back before, or what it was in has moved",
  ],
  [/reference leak|Unreleased reference/, "release it on every way out: try { ... } finally { ... }"],
  [
    /outside of the (allowed memory range|packet)|invalid access to (map value|packet|memory)/,
    "bound the index or offset first: if (index < length)",
  ],
  [/unbounded memory access|R\d+ unbounded/, "bound it first, such as by & or a comparison"],
  [
    /back-edge|infinite loop|too complex|too many jumps|program is too large|BPF program is too large/,
    "bound the loop by a constant, or use loop(times, body)",
  ],
  [
    /lock .*(is missing|held)|function calls are not allowed while holding a lock/,
    "between spinLock and spinUnlock nothing is called",
  ],
  [/frames is too deep/, "the kernel takes eight calls within each other: what is no subprogram(...) can be inlined"],
  [/combined stack size|stack depth/, "keep large values in a per-CPU array map"],
  [/unknown func|cannot use helper|not allowed/, "this kernel does not let a program of this type call it"],
  [
    /invalid (indirect )?(read|access) (from|to) stack|invalid stack/,
    "give the value all its fields before it is passed",
  ],
];

const REGISTER = /\b[rw](\d+)\b/g;

/** Registers of the instruction, with what was known of them. */
function values({ instruction, registers }: Refusal): { readonly message: string }[] {
  if (!instruction) return [];
  const numbers = instruction.text.startsWith("call ")
    ? ["1", "2", "3", "4", "5"]
    : [...instruction.text.matchAll(REGISTER)].map(([, number]) => number ?? "");
  const known = [...new Set(numbers)].flatMap((number) => {
    const state = registers[`R${number}`];
    return state === undefined ? [] : [{ message: `r${number} is ${state}` }];
  });
  return [{ message: `refused at instruction ${instruction.slot}: ${instruction.text}` }, ...known];
}

/** The refusal for `formatDiagnostic`. `text`: of the source file, for the caret's width. */
export function refusalDiagnostic(refusal: Refusal): Diagnostic {
  const { source } = refusal;
  const hint = MENDS.find(([pattern]) => pattern.test(refusal.summary))?.[1];
  const length = source ? Math.max(1, source.text.trimEnd().length - (source.column - 1)) : 0;
  return {
    code: CODE,
    severity: "error",
    message: `the kernel refuses ${refusal.program}: ${refusal.summary}`,
    ...(source ? { span: { file: source.file, line: source.line, column: source.column, offset: 0, length } } : {}),
    ...(hint ? { hint } : {}),
    related: values(refusal),
  };
}
