import * as fc from "fast-check";
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { ipv4, parseAddress } from "@skep/net";
import {
  MAGLEV_DEFAULT_SEED,
  MAGLEV_TABLE_SIZES,
  Maglev,
  type MaglevBackend,
  MaglevSettingsError,
} from "../src/load-balancer/maglev.ts";

interface Case {
  readonly m: number;
  readonly seed: string;
  readonly backends: readonly { addr: string; port: number; proto: string; weight: number; id: number }[];
  readonly table: readonly number[];
}

const file = resolve(import.meta.dirname, "../../../../shared/data/cilium/maglev-tables.json");
const cases = existsSync(file) ? (JSON.parse(readFileSync(file, "utf8")) as Case[]) : [];
if (cases.length === 0) console.warn(`skipped: Cilium's Maglev tables are not at ${file}`);

function backendOf({ addr, port, weight, id }: Case["backends"][number]): MaglevBackend {
  const address = parseAddress(addr);
  if (!address) throw new Error(addr);
  return { id, address, port, protocol: 6, weight };
}

describe.skipIf(cases.length === 0)("Cilium's Maglev tables", () => {
  it("are all there", () => expect(cases).toHaveLength(120));

  it.each(MAGLEV_TABLE_SIZES.filter((size) => cases.some(({ m }) => m === size)))(
    "of %i slots are the same",
    (size) => {
      const own = cases.filter(({ m }) => m === size);
      for (const { m, seed, backends, table } of own)
        expect([...(new Maglev({ size: m, seed }).table(backends.map(backendOf)) ?? [])]).toEqual(table);
    },
  );
});

const maglev = (size: number): Maglev => new Maglev({ size, seed: MAGLEV_DEFAULT_SEED });
const backends = (count: number, weight: (at: number) => number = () => 1): MaglevBackend[] =>
  Array.from({ length: count }, (_, at) => ({
    ...{ id: at + 1, address: ipv4(0x0a000000 + at * 7), port: 80, protocol: 6, weight: weight(at) },
  }));

function shares(table: Uint32Array | null): Map<number, number> {
  const found = new Map<number, number>();
  for (const id of table ?? []) found.set(id, (found.get(id) ?? 0) + 1);
  return found;
}

describe("Maglev", () => {
  it("moves at most 1 % of the slots beyond those of the backend that goes", () => {
    const all = backends(100);
    const { size } = maglev(65_521);
    const balancer = maglev(size);
    const before = balancer.table(all);
    for (const gone of [1, 37, 50, 100]) {
      const after = balancer.table(all.filter(({ id }) => id !== gone));
      const moved = [...(before ?? [])].filter((id, slot) => id !== gone && id !== after?.[slot]).length;
      expect(moved / size).toBeLessThan(0.01);
      expect(shares(after).has(gone)).toBe(false);
    }
  });

  it("gives each backend the share of its weight, within 1 % of the table", () => {
    const weights = fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 12 });
    const balancer = maglev(4093);
    fc.assert(
      fc.property(weights, (given) => {
        const found = shares(balancer.table(backends(given.length, (at) => given[at] ?? 1)));
        const total = given.reduce((sum, weight) => sum + weight, 0);
        for (const [at, weight] of given.entries())
          expect(Math.abs((found.get(at + 1) ?? 0) / balancer.size - weight / total)).toBeLessThan(0.01);
      }),
      { seed: 7, numRuns: 100 },
    );
  });

  it("does not depend on the order of the backends", () => {
    const all = backends(9, (at) => 1 + (at % 3));
    expect(maglev(1021).table([...all].reverse())).toEqual(maglev(1021).table(all));
  });

  it("leaves out what has no weight, and has no table without backends", () => {
    expect([...shares(maglev(251).table(backends(3, (at) => at))).keys()].sort()).toEqual([2, 3]);
    expect(maglev(251).table(backends(2, () => 0))).toBeNull();
    expect(maglev(251).table([])).toBeNull();
  });

  it("has the documented sizes only, and a seed of 12 bytes", () => {
    for (const size of MAGLEV_TABLE_SIZES) expect(maglev(size).size).toBe(size);
    expect(() => maglev(1000)).toThrow(MaglevSettingsError);
    for (const seed of ["", "JLfvgnHc2kaSUFa", "JLfvgnHc2kaSUFa=", "JLfvgnHc2kaSUFaIAAAA"])
      expect(() => new Maglev({ size: 251, seed })).toThrow(MaglevSettingsError);
    expect(maglev(251).seeds).toEqual([0x24b7ef82, 0x71dcda46, 0x92505688]);
  });
});
