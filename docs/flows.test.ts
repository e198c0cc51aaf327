// The page's commands have flags that are taken, its SQL is answered, its configuration is read.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { flowLogsOf, History } from "@skep/flows";
import { parseYaml, toValue } from "@skep/policy";
import { skep } from "../packages/cli/test/in-process.ts";
import { fileBlocks } from "./console.ts";

const page = readFileSync(fileURLToPath(new URL("flows.md", import.meta.url)), "utf8");
const commands = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap(([, block = ""]) =>
  block.split("\n").filter((line) => line.startsWith("skep ")),
);

describe("docs/flows.md", () => {
  it("shows flags that there are", async () => {
    expect(commands.length).toBeGreaterThan(7);
    for (const command of commands) {
      const words = command.split(" ").slice(1);
      const at = words[0] === "flows" ? 2 : 1;
      const { stdout } = await skep(...words.slice(0, at), "--help");
      for (const flag of command.match(/ --[a-z-]+/g) ?? []) expect(stdout, command).toContain(`${flag.trim()} `);
    }
  });

  it("shows SQL that is answered", async () => {
    const folder = mkdtempSync(join(tmpdir(), "skep-docs-flows-"));
    const history = await History.open({ folder, nodeName: "n", now: () => 0n });
    try {
      const asked = commands
        .map((command) => /^skep flows query (["'])(.*?)\1/.exec(command)?.[2] ?? "")
        .filter(Boolean);
      expect(asked.length).toBeGreaterThan(2);
      for (const sql of [...asked, "DESCRIBE flows"]) await history.query(sql, 100);
    } finally {
      await history.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it("shows a configuration of flow logs that is taken", () => {
    const taken = fileBlocks(page, "yaml").flatMap(([name, text]) => {
      const { documents, diagnostics } = parseYaml(name, text);
      expect(diagnostics).toEqual([]);
      return flowLogsOf(toValue(documents[0]!.root));
    });
    expect(taken).toMatchObject([
      { name: "drops", maxBytes: 50 << 20 },
      { name: "who-with-whom", aggregationMs: 30_000 },
    ]);
  });
});
