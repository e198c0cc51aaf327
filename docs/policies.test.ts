// The examples of policies.md, run one after the other on its own files: what they print is what the page shows, but for numbers.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { create } from "@bufbuild/protobuf";
import { flow } from "@skep/api";
import { jsonLine, timestampOf } from "@skep/flows";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { splitLine } from "../packages/cli/src/kernel/batch.ts";
import { type FakeAgent, fakeAgent } from "../packages/cli/test/fake-agent.ts";
import { skep } from "../packages/cli/test/in-process.ts";
import { consoleExamples, fileBlocks, outputPattern } from "./console.ts";

const page = readFileSync(fileURLToPath(new URL("policies.md", import.meta.url)), "utf8");
const files = fileBlocks(page, "yaml");
const fileOf = (name: string): string => files.find(([each]) => each === name)?.[1] ?? "";

const namespace = "k8s:io.kubernetes.pod.namespace=default";
const identities = {
  deathstar: { id: 300, labels: ["k8s:class=deathstar", "k8s:org=empire", namespace] },
  tiefighter: { id: 301, labels: ["k8s:org=empire", namespace] },
  xwing: { id: 302, labels: ["k8s:org=alliance", namespace] },
} as const;

const end = (name: keyof typeof identities): flow.Endpoint =>
  create(flow.EndpointSchema, {
    ID: identities[name].id - 299,
    identity: identities[name].id,
    namespace: "default",
    podName: name,
    labels: [...identities[name].labels],
  });

/** A connection to the deathstar's port 80 at a second of 2026-03-02 01:01. */
function landing(name: "tiefighter" | "xwing", second: number): flow.Flow {
  const isDropped = name === "xwing";
  const time = BigInt(Date.UTC(2026, 2, 2, 1, 1, second)) * 1_000_000n;
  return create(flow.FlowSchema, {
    time: timestampOf(time),
    uuid: `00000000-0000-4000-8000-0000000000${second}`,
    verdict: isDropped ? flow.Verdict.DROPPED : flow.Verdict.FORWARDED,
    ...(isDropped ? { dropReason: 133, dropReasonDesc: flow.DropReason.POLICY_DENIED } : {}),
    IP: { source: "10.0.0.1", destination: "10.0.0.3", ipVersion: flow.IPVersion.IPv4 },
    l4: {
      protocol: {
        case: "TCP",
        value: { sourcePort: isDropped ? 4001 : 4000, destinationPort: 80, flags: { SYN: true } },
      },
    },
    source: end(name),
    destination: end("deathstar"),
    Type: flow.FlowType.L3_L4,
    eventType: isDropped ? { type: 1, subType: 133 } : { type: 4 },
    isReply: false,
    Summary: "TCP Flags: SYN",
  });
}

describe("docs/policies.md", () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-docs-policies-"));
  const home = process.cwd();
  let agent: FakeAgent;

  beforeAll(async () => {
    for (const [name, content] of files) {
      mkdirSync(join(folder, dirname(name)), { recursive: true });
      writeFileSync(join(folder, name), content);
    }
    const policy = fileOf("policies/landing.yaml");
    cpSync(join(folder, "policies"), join(folder, "new"), { recursive: true });
    writeFileSync(join(folder, "new/landing.yaml"), policy.replace("org: empire", "org: alliance"));
    writeFileSync(join(folder, "wrong.yaml"), policy.replace("toPorts", "toPort"));
    const flows = [landing("tiefighter", 7), landing("xwing", 9)];
    writeFileSync(
      join(folder, "flows.jsonl"),
      flows.map((each) => `{"flow":${jsonLine(flow.FlowSchema, each)}}\n`).join(""),
    );
    const rule = { kind: "CiliumNetworkPolicy", namespace: "default", name: "landing", file: "landing.yaml", line: 1 };
    agent = await fakeAgent({
      listIdentities: () => ({
        identities: Object.values(identities).map(({ id, labels }) => ({ id, labels: [...labels] })),
      }),
      getSettings: () => ({ settings: { enforcement: "default", auditNamespaces: ["staging"] } }),
      setSettings: () => ({}),
      setAudit: ({ endpoint, audit }) => ({ endpoint: { namespace: "default", name: endpoint, audit } }),
      getPolicy: () => ({ revision: 1n, rules: [{ ...rule, text: policy, endpoints: [] }], entries: [] }),
    });
    process.chdir(folder);
  });
  afterAll(async () => {
    process.chdir(home);
    await agent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("shows what its commands print", async () => {
    const all = consoleExamples(page);
    expect(all.length).toBeGreaterThan(10);
    for (const { command, output } of all) {
      const words = splitLine(command).slice(1);
      const asksAgent = ["why", "config", "endpoint"].includes(words[0] ?? "");
      const { stdout, stderr } = await skep(...words, ...(asksAgent ? ["--run", agent.run] : []));
      expect(`${stdout}${stderr}`, command).toMatch(outputPattern(output));
    }
  });

  it("names every policy command", async () => {
    const { buildProgram } = await import("../packages/cli/src/program.ts");
    const program = buildProgram(() => Promise.resolve(), null);
    const policy = program.commands.find((each) => each.name() === "policy");
    expect(policy?.commands.length).toBeGreaterThan(6);
    for (const each of policy?.commands ?? [])
      expect(page).toMatch(new RegExp(`policy ${each.name()}|\`${each.name()}\``));
  });
});
