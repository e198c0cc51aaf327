import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { runOnce } from "../packages/compiler/test/harness.ts";
import { canUseBpf } from "../packages/compiler/test/privilege.ts";

const text = readFileSync(new URL("./kernel-typescript.md", import.meta.url), "utf8");
const ROW = /^\| `([ui]\d+)` +\| (-?\d+) +\| `([^`]+)` +\| (-?\d+) +\| (-?\d+|true|false) +\|$/gm;
const rows = [...text.matchAll(ROW)].map(([, type = "", a = "", operator = "", b = "", result = ""]) => ({
  type,
  a,
  operator,
  b,
  result,
}));

const SHIFTS = new Set(["<<", ">>", ">>>"]);
const COMPARES = new Set(["<", "<=", ">", ">="]);

describe.skipIf(!canUseBpf())("the table of integers, in the kernel", () => {
  it("has its rows", () => {
    expect(rows.length).toBeGreaterThan(35);
    expect(new Set(rows.map(({ type }) => type)).size).toBe(8);
  });

  for (const type of ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"]) {
    const own = rows.filter((row) => row.type === type);
    it(`${type}: ${own.length} rows`, () => {
      const bits = Number(type.slice(1));
      const suffix = bits === 64 ? "n" : "";
      const body = own.map(({ operator, b }, at) => {
        const right = SHIFTS.has(operator) ? `${b}${suffix}` : `io.b${at}`;
        if (COMPARES.has(operator)) return `io.r${at} = ${type}(io.a${at} ${operator} ${right});`;
        return operator === ">>>"
          ? `io.r${at} = ${type}(io.a${at} >>> ${right});`
          : `io.r${at} = io.a${at} ${operator} ${right};`;
      });
      const fields = own.flatMap((_, at) => [`a${at}: ${type}`, `b${at}: ${type}`, `r${at}: ${type}`]);
      const source = `import { struct, xdp, XDP, ${type} } from "@skep/bpf";
        const Io = struct("Io", { ${fields.join(", ")} });
        export const main = xdp("main", (ctx) => {
          const io = ctx.header(Io, 0);
          if (!io) return XDP.DROP;
          ${body.join("\n")}
          return XDP.PASS;
        });`;
      const size = bits / 8;
      const data = new Uint8Array(Math.max(64, own.length * 3 * size));
      const put = (at: number, value: bigint): void => {
        for (let byte = 0; byte < size; byte++)
          data[at * size + byte] = Number((BigInt.asUintN(64, value) >> BigInt(8 * byte)) & 0xffn);
      };
      own.forEach(({ a, b }, at) => {
        put(at * 3, BigInt(a));
        put(at * 3 + 1, BigInt(b));
      });
      const { returned, data: out } = runOnce(source, data);
      expect(returned).toBe(2);
      const found = own.map((row, at) => {
        let value = 0n;
        for (let byte = size - 1; byte >= 0; byte--)
          value = (value << 8n) | BigInt(out[(at * 3 + 2) * size + byte] ?? 0);
        const number = type.startsWith("i") ? BigInt.asIntN(bits, value) : value;
        return { ...row, result: COMPARES.has(row.operator) ? String(number === 1n) : String(number) };
      });
      expect(found).toEqual(own);
    });
  }
});
