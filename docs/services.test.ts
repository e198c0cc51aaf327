// The examples of services.md: an agent on the simulated machine with the page's files, and what the command prints of it.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createLogger, type RunningAgent, startAgent } from "@skep/agent";
import { parsePrefix } from "@skep/net";
import { openSim } from "@skep/sim";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { splitLine } from "../packages/cli/src/kernel/batch.ts";
import { skep } from "../packages/cli/test/in-process.ts";
import { consoleExamples, fileBlocks, outputPattern } from "./console.ts";

const page = readFileSync(fileURLToPath(new URL("services.md", import.meta.url)), "utf8");
const folder = mkdtempSync(join(tmpdir(), "skep-services-"));
let running: RunningAgent;

beforeAll(async () => {
  const machine = openSim({ seed: 1 });
  const { host } = machine.net;
  const { host: card } = host.createVeth("eth0", { namespace: host, name: "wire" });
  const prefix = parsePrefix("10.0.2.15/32");
  if (!prefix) throw new Error("constant");
  host.addAddress(card.index, prefix);
  for (const [name, content] of fileBlocks(page, "yaml")) writeFileSync(join(folder, name), `# ${name}\n${content}`);
  running = await startAgent({
    ...{ machine, directory: folder, run: folder, state: join(folder, "state"), pins: "/sys/fs/bpf/skep" },
    ...{ nat46x64: "services", loadBalancer: { nat46x64: true } },
    ...{ cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16", nodeName: "endor", watch: false },
    log: createLogger({ write: () => undefined, now: () => 0, format: "json" }),
  });
  for (const name of ["web-1", "web-2"])
    running.agent.createEndpoint({ namespace: "default", name, labels: { app: "web" } });
});
afterAll(async () => {
  await running.close();
  rmSync(folder, { recursive: true, force: true });
});

describe("docs/services.md", () => {
  it("shows what its commands print", async () => {
    const all = consoleExamples(page);
    expect(all.length).toBeGreaterThan(3);
    for (const { command, output } of all) {
      const { stdout, stderr } = await skep(...splitLine(command).slice(1), "--run", folder);
      expect(`${stdout}${stderr}`, command).toMatch(outputPattern(output));
    }
  });
});
