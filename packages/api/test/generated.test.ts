import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";

const home = fileURLToPath(new URL("..", import.meta.url));
const fresh = mkdtempSync(join(tmpdir(), "skep-api-"));
afterAll(() => rmSync(fresh, { recursive: true, force: true }));

/** Files by their path below a folder. */
function tree(folder: string, top = folder): Record<string, string> {
  return Object.assign(
    {},
    ...readdirSync(folder).map((name) => {
      const path = join(folder, name);
      return statSync(path).isDirectory() ? tree(path, top) : { [relative(top, path)]: readFileSync(path, "utf8") };
    }),
  ) as Record<string, string>;
}

describe("the generated code", () => {
  it("is what the protos give", () => {
    const { status, stderr } = spawnSync(process.execPath, [join(home, "generate.mjs"), join(fresh, "generated")], {
      encoding: "utf8",
    });
    expect(status, stderr).toBe(0);
    expect(tree(join(fresh, "generated"))).toEqual(tree(join(home, "src/generated")));
  }, 180_000);
});
