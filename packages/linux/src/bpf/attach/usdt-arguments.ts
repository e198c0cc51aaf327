/**
 * @module
 * Where the arguments of a static probe are, as the assembler wrote them: `SIZE@OPERAND`, a negative size for a signed value.
 * x86-64: `-4@%edi`, `8@-16(%rbp)`, `8@(%rax,%rbx,8)`, `4@$5`; arm64: `8@x0`, `-4@[sp, 16]`, `4@5`.
 */
export interface UsdtArgument {
  readonly kind: "constant" | "register" | "memory" | "indexed";
  /** Bytes: 1, 2, 4 or 8. */
  readonly size: number;
  readonly isSigned: boolean;
  /** The constant, or what is added to the register. */
  readonly value: bigint;
  /** Offset of the register in struct pt_regs. */
  readonly register: number;
  readonly index?: number;
  /** Power of two. */
  readonly scale?: number;
}

// struct pt_regs, arch/x86/include/asm/ptrace.h.
const x64Order = ["r15", "r14", "r13", "r12", "bp", "bx", "r11", "r10", "r9", "r8", "ax", "cx", "dx", "si", "di"];
const x64Offsets = new Map<string, number>();
for (const [at, name] of x64Order.entries()) {
  const offset = at * 8;
  const isNumbered = /^r\d/.test(name);
  const names = isNumbered ? [name, `${name}d`, `${name}w`, `${name}b`] : [`r${name}`, `e${name}`, name];
  for (const each of names) x64Offsets.set(each, offset);
  if (/^[abcd]x$/.test(name)) x64Offsets.set(`${name[0]}l`, offset);
  if (/^(bp|si|di)$/.test(name)) x64Offsets.set(`${name}l`, offset);
}
for (const name of ["rip", "eip"]) x64Offsets.set(name, 128);
for (const name of ["rsp", "esp", "sp", "spl"]) x64Offsets.set(name, 152);

function x64Register(name: string): number {
  const offset = x64Offsets.get(name);
  if (offset === undefined) throw new SyntaxError(`unknown register %${name} in a static probe`);
  return offset;
}

type Place = Omit<UsdtArgument, "size" | "isSigned">;

function x64Place(text: string): Place | null {
  const constant = /^\$(-?(?:0x[0-9a-f]+|\d+))$/i.exec(text);
  if (constant) return { kind: "constant", value: integer(constant[1]), register: 0 };
  const register = /^%(\w+)$/.exec(text);
  if (register) return { kind: "register", value: 0n, register: x64Register(register[1] ?? "") };
  const memory = /^(-?(?:0x[0-9a-f]+|\d+))?\(%(\w+)\)$/i.exec(text);
  if (memory) return { kind: "memory", value: integer(memory[1]), register: x64Register(memory[2] ?? "") };
  const indexed = /^(-?(?:0x[0-9a-f]+|\d+))?\((?:%(\w+))?,%(\w+)(?:,([1248]))?\)$/i.exec(text);
  if (!indexed?.[2]) return null;
  return {
    kind: "indexed",
    value: integer(indexed[1]),
    register: x64Register(indexed[2]),
    index: x64Register(indexed[3] ?? ""),
    scale: Math.log2(Number(indexed[4] ?? 1)),
  };
}

// struct user_pt_regs, arch/arm64/include/uapi/asm/ptrace.h.
function arm64Register(name: string): number {
  if (name === "sp") return 31 * 8;
  const number = /^[xw](\d+)$/.exec(name);
  if (!number || Number(number[1]) > 30) throw new SyntaxError(`unknown register ${name} in a static probe`);
  return Number(number[1]) * 8;
}

function arm64Place(text: string): Place | null {
  const memory = /^\[\s*(\w+)\s*(?:,\s*(-?\d+)\s*)?\]$/.exec(text);
  if (memory) return { kind: "memory", value: integer(memory[2]), register: arm64Register(memory[1] ?? "") };
  if (/^-?\d+$/.test(text)) return { kind: "constant", value: integer(text), register: 0 };
  return /^\w+$/.test(text) ? { kind: "register", value: 0n, register: arm64Register(text) } : null;
}

function integer(text: string | undefined): bigint {
  if (text === undefined) return 0n;
  return text.startsWith("-") ? -BigInt(text.slice(1)) : BigInt(text);
}

/** The arguments in order. Throws SyntaxError for an operand that is not known. */
export function parseUsdtArguments(text: string, architecture: string = process.arch): UsdtArgument[] {
  // arm64 has spaces inside its brackets.
  const parts = text.match(/\S+@(?:\[[^\]]*\]|\S+)/g) ?? [];
  return parts.map((part) => {
    const at = part.indexOf("@");
    const size = Number(part.slice(0, at));
    if (![1, 2, 4, 8].includes(Math.abs(size))) throw new SyntaxError(`unknown size in a static probe: ${part}`);
    const operand = part.slice(at + 1);
    const place = architecture === "arm64" ? arm64Place(operand) : x64Place(operand);
    if (!place) throw new SyntaxError(`unknown operand in a static probe: ${part}`);
    return { ...place, size: Math.abs(size), isSigned: size < 0 };
  });
}
