// The example on the simulated machine: no root, no kernel, the same programs.
import { existsSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { describe, expect, it } from "vitest";
import { skep } from "./in-process.ts";

const left = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith("skep-sim-"));

describe("the example on the simulated machine", () => {
  it("plays every check as expected, the same twice, and leaves nothing", async () => {
    const before = left();
    const first = await skep("demo", "--once", "--sim");
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout).toContain("14 of 14 checks as expected");
    expect(first.stdout).toContain("DROPPED, 133, INGRESS");
    expect(first.stdout).toContain("10.96.0.10:80");
    const second = await skep("demo", "--once", "--sim");
    expect(second.stdout).toBe(first.stdout);
    expect(left()).toEqual(before);
    expect(existsSync("/run/skep/example.json")).toBe(false);
  });

  it("is another play with another seed, with the same verdicts", async () => {
    const [one, two] = [await skep("demo", "--once", "--sim"), await skep("demo", "--once", "--sim", "--seed", "9")];
    expect(two.status).toBe(0);
    expect(two.stdout).not.toBe(one.stdout);
    expect(two.stdout).toContain("14 of 14 checks as expected");
  });
});
