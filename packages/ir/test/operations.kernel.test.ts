import { describe, expect, it } from "vitest";
import type { BinaryOp, FunctionBuilder, Inst, IrModule, Predicate } from "../src/index.ts";
import { canUseBpf } from "./can-use-bpf.ts";
import { compile, describeOutcome, moduleOf, packetProgram, runEvaluator, runKernel } from "./harness.ts";
import { Random } from "./random.ts";

const BINARY: BinaryOp[] = [
  "add",
  "sub",
  "mul",
  "udiv",
  "sdiv",
  "umod",
  "smod",
  "and",
  "or",
  "xor",
  "shl",
  "lshr",
  "ashr",
];
const PREDICATES: Predicate[] = ["eq", "ne", "ult", "ule", "ugt", "uge", "slt", "sle", "sgt", "sge", "set"];

interface Operands {
  readonly wide: [Inst, Inst];
  readonly narrow: [Inst, Inst];
}

/** Every operation on one pair of operands; the results are stored one after the other into the packet. */
function results(b: FunctionBuilder, { wide, narrow }: Operands, group: number): Inst[] {
  const both = [wide, narrow];
  switch (group) {
    case 0:
      return BINARY.flatMap((op) => both.map(([x, y]) => b.binary(op, x, y)));
    case 1:
      return PREDICATES.flatMap((predicate) => both.map(([x, y]) => b.cmp(predicate, x, y)));
    case 2:
      return PREDICATES.flatMap((predicate) =>
        both.map(([x, y]) => b.select(b.cmp(predicate, x, y), b.add(x, y), b.xor(x, y))),
      );
    case 3:
      return [
        ...both.flatMap(([x]) => [b.neg(x), b.not(x), b.bswap(x, 16), b.bswap(x, 32), b.hton(x, 16), b.hton(x, 32)]),
        b.bswap(wide[0], 64),
        b.hton(wide[0], 64),
        b.trunc(wide[0]),
        b.zext(narrow[0]),
        b.sext(narrow[0]),
        ...([8, 16, 32] as const).flatMap((from) =>
          both.flatMap(([x]) =>
            ([true, false] as const).flatMap((signed) =>
              (["i32", "i64"] as const).map((to) => b.ext(x, { from, signed, to })),
            ),
          ),
        ),
      ];
    default:
      throw new Error(`no group ${group}`);
  }
}

/** The operands come from the packet, from constants, or one from each. */
function operationModule(group: number, constants: { a?: bigint; b?: bigint }): IrModule {
  const { builder: b, data } = packetProgram("op", 1024);
  const load = (offset: number, constant: bigint | undefined): [Inst, Inst] =>
    constant === undefined
      ? [b.load(data, { size: 8, offset, space: "packet" }), b.load(data, { size: 4, offset, space: "packet" })]
      : [b.i64(constant), b.i32(constant)];
  const x = load(0, constants.a);
  const y = load(8, constants.b);
  const operands: Operands = { wide: [x[0], y[0]], narrow: [x[1], y[1]] };
  for (const [i, result] of results(b, operands, group).entries()) {
    const wide = result.type === "i32" ? b.zext(result) : result;
    b.store(data, wide, { size: 8, offset: 16 + i * 8, space: "packet" });
  }
  b.return(b.i32(2));
  return moduleOf([b.function]);
}

describe.skipIf(!canUseBpf())("every operation gives in the kernel what the evaluator says", () => {
  const random = new Random(7);
  for (const cpu of [1, 2, 3, 4] as const) {
    for (const optimize of [0, 2] as const) {
      for (let group = 0; group < 4; group++) {
        it(`group ${group}, v${cpu}, optimize ${optimize}`, () => {
          for (let round = 0; round < 6; round++) {
            const constants = {
              ...(round % 3 === 1 ? { a: random.value() } : {}),
              ...(round % 3 === 2 ? { b: random.value() } : {}),
            };
            const module = operationModule(group, constants);
            const spec = compile(module, { cpu, optimize });
            for (let input = 0; input < 6; input++) {
              const packet = new Uint8Array(1024);
              const view = new DataView(packet.buffer);
              view.setBigUint64(0, random.value(), true);
              view.setBigUint64(8, input === 0 ? 0n : random.value(), true);
              const wanted = runEvaluator(module, "op", packet);
              const got = runKernel(spec, "op", packet);
              expect(
                describeOutcome(got),
                JSON.stringify(constants, (_, v) => String(v)),
              ).toBe(describeOutcome(wanted));
            }
          }
        });
      }
    }
  }
});
