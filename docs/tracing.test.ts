// The page's folder is read, and its example prints what the page shows.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { skep } from "../packages/cli/test/in-process.ts";

const page = readFileSync(join(dirname(fileURLToPath(import.meta.url)), "tracing.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "skep-tracing-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Lines of the source and widths of columns come and go; what the policy is asked, and the verdict, do not. */
const telling = (text: string): string[] =>
  text
    .split("\n")
    .map((line) => line.replaceAll(/\.ts:\d+/g, ".ts").replaceAll(/ +/g, " "))
    .filter((line) => line !== "" && (!line.includes(".bpf.ts") || /skep_policy|skep_events/.test(line)));

describe("docs/tracing.md", () => {
  it("shows what skep trace packet prints", async () => {
    const [, yaml = ""] = /```yaml\n([\s\S]*?)```/.exec(page) ?? [];
    const [, args = "", shown = ""] = /\$ skep (.*)\n([\s\S]*?)```/.exec(page) ?? [];
    mkdirSync(join(folder, "shop"));
    writeFileSync(join(folder, "shop", "shop.yaml"), yaml);
    const { status, stdout } = await skep(...args.replace("shop", join(folder, "shop")).split(" "));
    const found = telling(stdout);
    expect(found).toEqual(telling(shown));
    expect(found.length).toBeGreaterThan(8);
    expect(status).toBe(1);
  });
});
