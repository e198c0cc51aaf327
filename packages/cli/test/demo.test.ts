// The example on the simulated machine: no root, no kernel, the same programs.
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { skep } from "./in-process.ts";

/** Temporary folders of this file alone: others play at the same time. */
const folder = mkdtempSync(join(tmpdir(), "skep-demo-test-"));
const left = (): string[] => readdirSync(folder).filter((name) => name.startsWith("skep-sim-"));

beforeAll(() => vi.stubEnv("TMPDIR", folder));

afterAll(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true, force: true });
});

describe("the example on the simulated machine", () => {
  it("plays every check as expected, the same twice, and leaves nothing", async () => {
    const first = await skep("demo", "--once", "--sim");
    expect(first.status, first.stderr).toBe(0);
    expect(first.stdout).toContain("14 of 14 checks as expected");
    expect(first.stdout).toContain("DROPPED, 133, INGRESS");
    expect(first.stdout).toContain("10.96.0.10:80");
    const second = await skep("demo", "--once", "--sim");
    expect(second.stdout).toBe(first.stdout);
    expect(left()).toEqual([]);
    expect(existsSync("/run/skep/example.json")).toBe(false);
  });

  it("is another play with another seed, with the same verdicts", async () => {
    const [one, two] = [await skep("demo", "--once", "--sim"), await skep("demo", "--once", "--sim", "--seed", "9")];
    expect(two.status).toBe(0);
    expect(two.stdout).not.toBe(one.stdout);
    expect(two.stdout).toContain("14 of 14 checks as expected");
  });
});
