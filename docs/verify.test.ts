import { readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { describe, expect, test } from "vitest";
import { readObject } from "@skep/object";
import { verify } from "@skep/verifier";
import { skep } from "../packages/cli/test/in-process.ts";

const page = readFileSync(new URL("./verify.md", import.meta.url), "utf8");
const file = new URL("../packages/cli/testdata/port.o", import.meta.url).pathname;
const commands = [...page.matchAll(/^```text\n\$ skep (verify .*)\n([\s\S]*?)^```$/gm)].map(
  ([, command = "", told = ""]) => [command, told] as const,
);

describe("the page of the verifier", () => {
  test("shows every way to ask", () => {
    const all = commands.map(([command]) => command).join("\n");
    for (const option of ["--explain", "--budget", "--kernel 5.10", "--program", "--unprivileged"])
      expect(all).toContain(option);
  });

  test.each(commands)("%s", async (command, told) => {
    const { status, stdout } = await skep(...command.replace("port.o", file).split(" "));
    expect(stdout).toBe(told);
    expect(status).toBe(told.includes(": refused:") ? 1 : 0);
  });

  test("the example of TypeScript runs as it stands", () => {
    const [, block = ""] = /^```ts\n([\s\S]*?)^```$/m.exec(page) ?? [];
    const lines = block.split("\n").filter((line) => !line.startsWith("import"));
    const known = { readFileSync: () => readFileSync(file), readObject, verify };
    expect(runInNewContext(`(() => {${lines.join("\n")}\nreturn said;})()`, known)).toBe("VER3002");
  });
});
