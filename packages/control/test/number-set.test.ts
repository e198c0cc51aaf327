import { expect, test } from "vitest";
import { NumberSet } from "../src/load-balancer/number-set.ts";

test("a set of numbers holds what a set of JavaScript does", () => {
  const [ours, known] = [new NumberSet(), new Set<number>()];
  let seed = 7;
  for (let step = 0; step < 20_000; step++) {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    const value = step % 50 === 0 ? 0xffff_ffff - ((seed >>> 8) % 3) : (seed >>> 8) % 10_000;
    if (seed >>> 31 === 0) {
      ours.add(value);
      known.add(value);
    } else {
      ours.delete(value);
      known.delete(value);
    }
    expect(ours.has(value)).toBe(known.has(value));
  }
  expect(ours.size).toBe(known.size);
  for (let value = 0; value < 10_000; value++) if (ours.has(value) !== known.has(value)) throw new Error(`${value}`);
  for (const value of known) ours.delete(value);
  expect(ours.size).toBe(0);
});
