import * as fc from "fast-check";
import { afterAll, describe, expect, it } from "vitest";
import { start, type Running } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

const TYPES = ["u8", "u16", "u32", "u64", "i8", "i16", "i32", "i64"] as const;
type Name = (typeof TYPES)[number];

const bitsOf = (name: Name): number => Number(name.slice(1));
const isSigned = (name: Name): boolean => name.startsWith("i");
const wrap = (name: Name, value: bigint): bigint =>
  isSigned(name) ? BigInt.asIntN(bitsOf(name), value) : BigInt.asUintN(bitsOf(name), value);

const OPERATORS = ["+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"] as const;
const COMPARISONS = ["===", "!==", "<", "<=", ">", ">="] as const;

/** The documented meaning of an operator. */
function meaning(name: Name, operator: string, a: bigint, b: bigint): bigint {
  const count = b & BigInt(bitsOf(name) === 64 ? 63 : 31);
  switch (operator) {
    case "+":
      return wrap(name, a + b);
    case "-":
      return wrap(name, a - b);
    case "*":
      return wrap(name, a * b);
    case "/":
      return b === 0n ? 0n : wrap(name, a / b);
    case "%":
      return b === 0n ? a : wrap(name, a % b);
    case "&":
      return a & b;
    case "|":
      return a | b;
    case "^":
      return a ^ b;
    case "<<":
      return wrap(name, a << count);
    default:
      return a >> count;
  }
}

function compares(operator: string, a: bigint, b: bigint): boolean {
  switch (operator) {
    case "===":
      return a === b;
    case "!==":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    default:
      return a >= b;
  }
}

/** A shift's count lies below the width. */
const countMask = (name: Name): string => `${bitsOf(name) - 1}${bitsOf(name) === 64 ? "n" : ""}`;

function source(name: Name): string {
  const results = [
    ...OPERATORS.map((operator, at) => {
      const right = operator === "<<" || operator === ">>" ? `(io.b & ${countMask(name)})` : "io.b";
      return `io.r${at} = io.a ${operator} ${right};`;
    }),
    `io.r10 = -io.a;`,
    `io.r11 = ~io.a;`,
    ...COMPARISONS.map((operator, at) => `if (io.a ${operator} io.b) io.flags |= ${1 << at};`),
    ...TYPES.map((to) => `io.to_${to} = ${to}(io.a);`),
  ];
  const fields = [
    ...Array.from({ length: 12 }, (_, at) => `r${at}: ${name}`),
    "flags: u32",
    ...TYPES.map((to) => `to_${to}: ${to}`),
  ];
  return `
    import { struct, xdp, XDP, ${TYPES.join(", ")} } from "@skep/bpf";
    const Io = struct("Io", { a: ${name}, b: ${name}, ${fields.join(", ")} });
    export const main = xdp("main", (ctx) => {
      const io = ctx.header(Io, 0);
      if (!io) return XDP.DROP;
      ${results.join("\n      ")}
      return XDP.PASS;
    });`;
}

interface Layout {
  readonly size: number;
  readonly places: ReadonlyMap<string, { offset: number; type: Name }>;
}

function layout(name: Name): Layout {
  const fields: [string, Name][] = [
    ["a", name],
    ["b", name],
    ...Array.from({ length: 12 }, (_, at): [string, Name] => [`r${at}`, name]),
    ["flags", "u32"],
    ...TYPES.map((to): [string, Name] => [`to_${to}`, to]),
  ];
  let end = 0;
  const places = new Map<string, { offset: number; type: Name }>();
  for (const [field, type] of fields) {
    const size = bitsOf(type) / 8;
    const offset = Math.ceil(end / size) * size;
    places.set(field, { offset, type });
    end = offset + size;
  }
  return { size: Math.ceil(end / 8) * 8, places };
}

function write(view: DataView, place: { offset: number; type: Name }, value: bigint): void {
  for (let at = 0; at < bitsOf(place.type) / 8; at++) {
    view.setUint8(place.offset + at, Number((BigInt.asUintN(64, value) >> BigInt(8 * at)) & 0xffn));
  }
}

function read(view: DataView, place: { offset: number; type: Name }): bigint {
  let value = 0n;
  for (let at = bitsOf(place.type) / 8 - 1; at >= 0; at--)
    value = (value << 8n) | BigInt(view.getUint8(place.offset + at));
  return wrap(place.type, value);
}

describe.skipIf(!canUseBpf())("integers in the kernel", () => {
  const running: Running[] = [];
  afterAll(() => running.forEach((one) => one.close()));

  for (const optimize of [0, 2] as const) {
    for (const name of TYPES) {
      it(`${name}: every operator, at -O${optimize}`, () => {
        const program = start(source(name), { compile: { optimize } });
        running.push(program);
        const { size, places } = layout(name);
        const at = (field: string): { offset: number; type: Name } => {
          const place = places.get(field);
          if (!place) throw new Error(field);
          return place;
        };
        const bits = bitsOf(name);
        const edge = isSigned(name)
          ? [0n, 1n, -1n, (1n << BigInt(bits - 1)) - 1n, -(1n << BigInt(bits - 1))]
          : [0n, 1n, (1n << BigInt(bits)) - 1n, 1n << BigInt(bits - 1)];
        const any = fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }).map((value) => wrap(name, value));
        const operand = fc.oneof(
          fc.constantFrom(...edge),
          any,
          fc.integer({ min: 0, max: 20 }).map((value) => wrap(name, BigInt(value))),
        );
        const check = (a: bigint, b: bigint): void => {
          const data = new Uint8Array(size);
          const view = new DataView(data.buffer);
          write(view, at("a"), a);
          write(view, at("b"), b);
          const result = program.run(data);
          expect(result.returned).toBe(2);
          const out = new DataView(result.data.buffer, result.data.byteOffset);
          OPERATORS.forEach((operator, index) => {
            const right = operator === "<<" || operator === ">>" ? b & BigInt(bits - 1) : b;
            const wanted = meaning(name, operator, a, right);
            expect(read(out, at(`r${index}`)), `${a} ${operator} ${right}`).toBe(wanted);
          });
          expect(read(out, at("r10")), `-${a}`).toBe(wrap(name, -a));
          expect(read(out, at("r11")), `~${a}`).toBe(wrap(name, ~a));
          COMPARISONS.forEach((operator, index) => {
            const flag = (read(out, at("flags")) >> BigInt(index)) & 1n;
            expect(flag === 1n, `${a} ${operator} ${b}`).toBe(compares(operator, a, b));
          });
          for (const to of TYPES) expect(read(out, at(`to_${to}`)), `${to}(${a})`).toBe(wrap(to, a));
        };
        for (const a of edge) for (const b of edge) check(a, b);
        fc.assert(fc.property(operand, operand, check), { numRuns: 60, seed: 7 });
      });
    }
  }
});
