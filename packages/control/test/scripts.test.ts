import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it } from "vitest";
import { runScript } from "./script.ts";

const folder = resolve(import.meta.dirname, "../../../../shared/data/cilium/loadbalancer");
const scripts = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".txtar")) : [];
if (scripts.length === 0) console.warn(`skipped: Cilium's load balancer scripts are not at ${folder}`);

describe.skipIf(scripts.length === 0)("Cilium's load balancer scripts", () => {
  it("are all there", () => expect(scripts).toHaveLength(15));

  it.each(scripts)("%s: tables and maps line by line", (name) => {
    expect(runScript(readFileSync(`${folder}/${name}`, "utf8")).checks).toBeGreaterThan(0);
  });
});
