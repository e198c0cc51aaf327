/**
 * @module
 * What the kernel's verifier wrote (kernel/bpf/log.c, print_verifier_state and verbose_linfo), of kernels from 4.14 on:
 *
 *     0: R1=ctx(id=0,off=0,imm=0) R10=fp0            state, before 5.18 on a line of its own
 *     ; key = ctx.mark @ count.bpf.ts:12             source
 *     3: (61) r1 = *(u32 *)(r1 +8)   ; R1_w=scalar() instruction, with what it changed since 5.18
 *     from 5 to 9: R0=0 R10=fp0                      where a path goes on
 */

export interface LoggedInstruction {
  /** Slot of eight bytes, as the kernel counts. */
  readonly slot: number;
  readonly opcode: number;
  readonly text: string;
}

export interface LoggedSource {
  readonly text: string;
  /** Only since 6.9. */
  readonly file?: string;
  readonly line?: number;
}

/** One line of the log, or what a line says beside an instruction. */
export type LogEntry =
  | { readonly kind: "instruction"; readonly instruction: LoggedInstruction; readonly registers: Registers }
  | { readonly kind: "state"; readonly slot: number; readonly frame: number; readonly registers: Registers }
  | { readonly kind: "branch"; readonly from: number; readonly to: number; readonly registers: Registers }
  | { readonly kind: "source"; readonly source: LoggedSource }
  | { readonly kind: "message"; readonly text: string }
  /** How the verifier went back to mark a value as one whose exact number matters (mark_chain_precision). */
  | { readonly kind: "precision"; readonly text: string }
  | { readonly kind: "statistics"; readonly text: string };

/** By the kernel's names (`R1`, `fp-8`), the state in the kernel's notation, such as `map_value(off=0,ks=4,vs=8)`. */
export type Registers = Readonly<Record<string, string>>;

/** What is known of a register, where the notation says it. */
export interface RegisterState {
  /** `ctx`, `fp`, `scalar`, `map_value`, `map_value_or_null`, `pkt`, `ptr_`, ... */
  readonly type: string;
  /** A scalar that has one value. */
  readonly value?: bigint;
  /** Attributes in brackets: `off`, `r`, `smin`, `umax`, `var_off`, `ks`, `vs`, `id`. */
  readonly attributes: Readonly<Record<string, string>>;
}

const instructionLine = /^(\d+): \(([0-9a-f]{2})\) (.*)$/;
const stateLine = /^(\d+): (?:frame(\d+): )?((?:R\d|fp-).*)$/;
const branchLine = /^from (\d+) to (\d+)(?: \(speculative execution\))?:(.*)$/;
const sourceAt = /^(.*) @ (\S+):(\d+)$/;
const statistics =
  /^(processed \d+ insns|verification time |stack depth |mark_read |max_states_per_insn |insn processed|total_states )/;
const precision = /^(mark_precise: |last_idx \d|regs=\S+ stack=|parent (state|already had|didn't have) )/;
/** The two states behind "infinite loop detected" (is_state_visited). */
const states = /^(cur|old) state:/;
const liveness = /_[rwDd]+$/;

/** Splits `R1=ctx() R10=fp0 fp-8=mmmm????` at spaces outside brackets. */
export function parseRegisters(text: string): Registers {
  const registers: Record<string, string> = {};
  let depth = 0;
  let start = 0;
  const take = (end: number) => {
    const word = text.slice(start, end);
    const equals = word.indexOf("=");
    if (equals > 0 && /^(R\d+|fp-?\d+)/.test(word)) {
      registers[word.slice(0, equals).replace(liveness, "")] = word.slice(equals + 1);
    }
    start = end + 1;
  };
  for (let at = 0; at < text.length; at++) {
    const character = text[at];
    if (character === "(" || character === "{") depth++;
    else if (character === ")" || character === "}") depth--;
    else if (character === " " && depth <= 0) take(at);
  }
  take(text.length);
  return registers;
}

function splitAttributes(text: string): Record<string, string> {
  const attributes: Record<string, string> = {};
  // `smin=smin32=-5` since 6.8: one value for several names; `var_off=(0x0; 0xff)` holds a bracket.
  for (const part of text.match(/[^,()]*(?:\([^)]*\))?[^,()]*/g) ?? []) {
    const pieces = part.split("=");
    const value = pieces.pop();
    for (const name of pieces) if (value !== undefined) attributes[name.trim()] = value;
  }
  return attributes;
}

/** Reads one register's state. Old kernels' `inv`, `invP` and numbers alone are scalars. */
export function parseRegisterState(text: string): RegisterState {
  const plain = /^(?:inv|P|invP|scalar\(\)|)(-?(?:0x[0-9a-f]+|\d+))$/.exec(text.replace(/^P/, ""));
  if (plain) return { type: "scalar", value: parseInteger(plain[1] ?? "0"), attributes: {} };
  const open = text.indexOf("(");
  const head = (open < 0 ? text : text.slice(0, open)).replace(/^P(?=[a-z])/, "");
  const attributes = open < 0 ? {} : splitAttributes(text.slice(open + 1, text.lastIndexOf(")")));
  if (/^fp-?\d+$/.test(head)) return { type: "fp", attributes: { ...attributes, off: head.slice(2) } };
  return { type: head === "inv" || head === "invP" ? "scalar" : head, attributes };
}

function parseInteger(text: string): bigint {
  return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text);
}

function parseInstruction(match: RegExpExecArray): LogEntry {
  const rest = match[3] ?? "";
  // The changed registers follow after `;`: a helper's name or a map's never holds one.
  const semicolon = rest.indexOf(";");
  const text = (semicolon < 0 ? rest : rest.slice(0, semicolon)).trimEnd();
  const registers = semicolon < 0 ? {} : parseRegisters(rest.slice(semicolon + 1).replace(/^ (frame\d+: )?/, ""));
  const instruction = { slot: Number(match[1]), opcode: Number.parseInt(match[2] ?? "0", 16), text };
  return { kind: "instruction", instruction, registers };
}

function parseSource(text: string): LogEntry {
  const match = sourceAt.exec(text);
  if (!match) return { kind: "source", source: { text } };
  return { kind: "source", source: { text: match[1] ?? "", file: match[2] ?? "", line: Number(match[3]) } };
}

function parseLine(line: string): LogEntry {
  const instruction = instructionLine.exec(line);
  if (instruction) return parseInstruction(instruction);
  if (line.startsWith("; ")) return parseSource(line.slice(2));
  const branch = branchLine.exec(line);
  if (branch) {
    const registers = parseRegisters((branch[3] ?? "").replace(/^ (frame\d+: )?/, ""));
    return { kind: "branch", from: Number(branch[1]), to: Number(branch[2]), registers };
  }
  const state = stateLine.exec(line);
  if (state) {
    const registers = parseRegisters(state[3] ?? "");
    return { kind: "state", slot: Number(state[1]), frame: Number(state[2] ?? 0), registers };
  }
  if (precision.test(line) || states.test(line)) return { kind: "precision", text: line };
  return { kind: statistics.test(line) ? "statistics" : "message", text: line };
}

/** The limit of complexity is told on the line of the instruction where it was reached (do_check). */
function splitVerdict(line: string): string[] {
  const at = line.indexOf("BPF program is too large.");
  return at <= 0 ? [line] : [line.slice(0, at).trimEnd(), line.slice(at)];
}

/** The log's lines in order, empty ones left out. Never throws: what is not known is a message. */
export function parseVerifierLog(log: string): LogEntry[] {
  return log
    .split("\n")
    .map((line) => line.trimEnd())
    .filter((line) => line !== "" && line !== ";")
    .flatMap(splitVerdict)
    .map(parseLine);
}

/** What a refusal's log says. */
export interface LogSummary {
  /** The verifier's last sentence. */
  readonly message: string;
  readonly instruction: LoggedInstruction | null;
  readonly source: LoggedSource | null;
  /** Known before the failing instruction, as far as the log goes back. */
  readonly registers: Registers;
  /** The path on which it failed: slots from the last branch on. */
  readonly path: readonly number[];
}

/** Follows the path that the log ends with. */
export function summarizeLog(log: string): LogSummary {
  const entries = parseVerifierLog(log);
  const messages: string[] = [];
  let instruction: LoggedInstruction | null = null;
  let source: LoggedSource | null = null;
  let before: Registers = {};
  let after: Registers = {};
  let path: number[] = [];
  for (const entry of entries) {
    switch (entry.kind) {
      case "instruction":
        before = after;
        after = { ...after, ...entry.registers };
        instruction = entry.instruction;
        path.push(entry.instruction.slot);
        messages.length = 0;
        break;
      case "state":
        // Since 5.18 the whole state comes at a path's start; before, at every instruction.
        after = entry.registers;
        break;
      case "branch":
        after = entry.registers;
        path = [];
        break;
      case "source":
        source = entry.source;
        break;
      case "message":
        messages.push(entry.text);
        break;
      case "precision":
      case "statistics":
        break;
    }
  }
  return { message: lastSentence(messages, entries), instruction, source, registers: before, path };
}

/** The last message; the one before it as well where the last only says where. */
function lastSentence(messages: readonly string[], entries: readonly LogEntry[]): string {
  const last = messages.at(-1);
  if (last !== undefined) {
    const previous = messages.at(-2);
    const isDetail = /^(min |R\d+ |expected|arg#|the |verifier |math )/i.test(last) && previous !== undefined;
    return isDetail && previous !== last ? `${previous}: ${last}` : last;
  }
  const any = entries.findLast((entry) => entry.kind === "message");
  return any?.kind === "message" ? any.text : "";
}
