import { describe, expect, test } from "vitest";
import { parseUsdtArguments, type UsdtArgument } from "./usdt-arguments.ts";

const argument = (kind: UsdtArgument["kind"], rest: Partial<UsdtArgument>): UsdtArgument => ({
  ...{ kind, size: 8, isSigned: false, value: 0n, register: 0 },
  ...rest,
});

// struct pt_regs, arch/x86/include/asm/ptrace.h.
describe("arguments of static probes on x64", () => {
  test.each<[string, UsdtArgument]>([
    ["-4@%edi", argument("register", { size: 4, isSigned: true, register: 112 })],
    ["8@%rax", argument("register", { register: 80 })],
    ["1@%bl", argument("register", { size: 1, register: 40 })],
    ["2@%r15w", argument("register", { size: 2, register: 0 })],
    ["8@-16(%rbp)", argument("memory", { value: -16n, register: 32 })],
    ["8@(%rsp)", argument("memory", { register: 152 })],
    ["4@0x10(%rip)", argument("memory", { size: 4, value: 16n, register: 128 })],
    ["8@8(%rax,%rbx,8)", argument("indexed", { value: 8n, register: 80, index: 40, scale: 3 })],
    ["-2@$-5", argument("constant", { size: 2, isSigned: true, value: -5n })],
  ])("%s", (text, expected) => expect(parseUsdtArguments(text, "x64")).toEqual([expected]));

  test.each(["8@%nothing", "3@%rax", "8@what", "8@(,%rax,8)"])("%s is refused", (text) => {
    expect(() => parseUsdtArguments(text, "x64")).toThrow(SyntaxError);
  });
});

// struct user_pt_regs, arch/arm64/include/uapi/asm/ptrace.h: 31 registers, sp, pc, pstate.
describe("arguments of static probes on arm64", () => {
  test.each<[string, UsdtArgument]>([
    ["8@x0", argument("register", { register: 0 })],
    ["-4@w30", argument("register", { size: 4, isSigned: true, register: 240 })],
    ["8@sp", argument("register", { register: 248 })],
    ["-4@[sp, 16]", argument("memory", { size: 4, isSigned: true, value: 16n, register: 248 })],
    ["8@[x29, -8]", argument("memory", { value: -8n, register: 232 })],
    ["8@[x1]", argument("memory", { register: 8 })],
    ["4@5", argument("constant", { size: 4, value: 5n })],
  ])("%s", (text, expected) => expect(parseUsdtArguments(text, "arm64")).toEqual([expected]));

  test("several, with spaces in their brackets", () => {
    const found = parseUsdtArguments("-4@[sp, 60] 8@x1 4@7", "arm64");
    expect(found.map(({ kind }) => kind)).toEqual(["memory", "register", "constant"]);
  });

  test.each(["8@x31", "8@rax", "8@[x1, x2]"])("%s is refused", (text) => {
    expect(() => parseUsdtArguments(text, "arm64")).toThrow(SyntaxError);
  });
});
