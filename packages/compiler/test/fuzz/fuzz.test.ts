import { describe, expect, it } from "vitest";
import { Random } from "../../../ir/test/random.ts";
import type { Runner } from "./check.ts";
import { generateModule, printModule } from "./generate.ts";
import { walk } from "./nodes.ts";
import { runModule, runSeed, shrinkFailure } from "./session.ts";
import { vmSession } from "./vm-session.ts";

const SIZE = { functions: 4, programs: 12 };

describe("random programs", () => {
  for (const seed of [1, 2, 3, 4]) {
    it(`on the interpreter, seed ${seed}`, () => {
      const { agreed, leftOut, failures } = runSeed(seed, vmSession(SIZE));
      expect(failures).toEqual([]);
      expect(agreed.length + leftOut.length).toBe(16);
    });
  }

  it("are the same for a seed", () => {
    const text = (seed: number): string => printModule(generateModule(new Random(seed), seed, SIZE));
    expect(text(9)).toBe(text(9));
    expect(text(9)).not.toBe(text(10));
  });

  it("are mostly of loops, memory and 64-bit division together", () => {
    const programs = Array.from({ length: 20 }, (_, seed) => generateModule(new Random(seed), seed, SIZE)).flatMap(
      (module) => module.programs,
    );
    const all = programs.filter(
      ({ features }) => features.has("loop") && features.has("packet") && features.has("div64"),
    );
    expect(all.length).toBeGreaterThan(programs.length / 2);
  });

  it("shrink to what fails", () => {
    const session = vmSession({ functions: 1, programs: 2 });
    // A machine that forgets what is stored into a table by the name `arr`.
    const forgetful = {
      ...session,
      load: (...args: Parameters<typeof session.load>): Runner => {
        const runner = session.load(...args);
        return {
          run: (name, packet) => runner.run(name, packet),
          contents: () => ({ ...runner.contents(), arr: "" }),
          close: () => runner.close(),
        };
      },
    };
    const module = generateModule(new Random(3), 3, session);
    const failure = runModule(module, forgetful).failures.find((one) => one.kind === "difference");
    if (!failure) throw new Error("nothing failed");
    const small = shrinkFailure(module, failure, { ...forgetful, tries: 30 });
    expect(small.programs.map((one) => one.name)).toEqual([failure.program]);
    const { kind, program } = failure;
    expect(runModule(small, forgetful).failures).toContainEqual(expect.objectContaining({ kind, program }));
    const size = (of: typeof module): number => of.programs.reduce((sum, one) => sum + walk(one.node).length, 0);
    expect(size(small)).toBeLessThan(size(module) / 4);
  });
});
