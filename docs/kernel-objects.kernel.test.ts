// The examples of kernel-objects.md, run one after the other: what they print is what the page shows, but for numbers.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { splitLine } from "../packages/cli/src/kernel/batch.ts";
import { skep } from "../packages/cli/test/in-process.ts";
import { consoleExamples, outputPattern } from "./console.ts";
import { cannotUseBpf, KernelLab, text } from "../packages/cli/test/kernel-lab.ts";

const reason = cannotUseBpf();
if (reason !== null) console.warn(`skipped: ${reason}`);

const page = readFileSync(fileURLToPath(new URL("kernel-objects.md", import.meta.url)), "utf8");

/** Ethernet, IPv4 from 10.0.0.1 to 10.0.0.2, TCP from port 12345 to port 80. */
const PACKET =
  "020000000001 020000000002 0800 " +
  "4500 0028 0001 0000 40 06 0000 0a000001 0a000002 " +
  "3039 0050 00000001 00000000 5002 2000 0000 0000";

const modules = [...page.matchAll(/^```ts\n([\s\S]*?)^```$/gm)].map(([, code = ""]) => code);

describe.skipIf(reason !== null)("docs/kernel-objects.md", () => {
  let lab: KernelLab;
  const folder = process.cwd();
  beforeAll(async () => {
    lab = await KernelLab.open();
    writeFileSync(join(lab.folder, "count.bpf.ts"), modules[0] ?? "");
    writeFileSync(join(lab.folder, "packet.bin"), Buffer.from(PACKET.replaceAll(" ", ""), "hex"));
    process.chdir(lab.folder);
  });
  afterAll(async () => {
    process.chdir(folder);
    await lab?.close();
  });

  const here = (command: string): string[] => {
    const moved = command.replaceAll("/sys/fs/bpf", lab.pins).replaceAll("eth0", "veth0");
    const words = splitLine(moved).slice(1);
    return words[0] === "net" ? [...words, "netns", lab.netns] : words;
  };

  it("shows what its commands print", async () => {
    const all = consoleExamples(page);
    expect(all.length).toBeGreaterThan(20);
    for (const { command, output } of all) {
      const { stdout, stderr } = await skep(...here(command));
      const said = `${stderr}${stdout}`.replaceAll(lab.pins, "/sys/fs/bpf").replaceAll("veth0", "eth0");
      expect(said, command).toMatch(outputPattern(output));
    }
  });

  it("has a second module that loads with the declarations that it had written", async () => {
    writeFileSync("parent.bpf.ts", modules[1] ?? "");
    await text("prog", "load", "parent.bpf.ts", join(lab.pins, "enter"));
  });

  it("names every noun and verb that there is", async () => {
    const { kernelNouns } = await import("../packages/cli/src/define/kernel.ts");
    for (const { name, verbs } of kernelNouns) {
      expect(page, name).toContain(name);
      if (["perf", "iter", "gen", "token", "batch"].includes(name)) continue;
      for (const verb of verbs)
        expect(page, `${name} ${verb.name}`).toMatch(new RegExp(`\\b${verb.name.replace("list_builtins", "list")}\\b`));
    }
  });
});
