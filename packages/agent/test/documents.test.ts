// Documents that move between files: whatever the order, what the folder says is in force.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSim } from "@skep/sim";
import { Agent, createLogger } from "../src/index.ts";

const policy = (name: string): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: ${name}, namespace: default}
spec: {endpointSelector: {}, ingress: [{}]}
---
`;

describe("documents in files", () => {
  let folder: string;
  let agent: Agent;
  const errors: string[] = [];
  const put = (name: string, ...policies: readonly string[]): void =>
    writeFileSync(join(folder, "policies", name), policies.map(policy).join(""));
  const inForce = (): string[] =>
    agent.world.documents().map((document) => `${document.name} ${document.span.file.slice(-6)}`);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-documents-"));
    mkdirSync(join(folder, "policies"));
    errors.length = 0;
    const machine = openSim();
    agent = new Agent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
      log: createLogger({
        write: (line) => (line.includes('"error"') ? errors.push(line) : undefined),
        now: () => machine.clock.now(),
        format: "json",
      }),
    });
  });
  afterEach(() => {
    agent.datapath.destroy();
    agent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("move to a file that is looked at before the one that they leave", () => {
    put("a.yaml", "one");
    put("b.yaml", "two");
    agent.rescan();
    put("a.yaml", "one", "two");
    put("b.yaml", "three");
    agent.rescan();
    expect(inForce().sort()).toEqual(["one a.yaml", "three b.yaml", "two a.yaml"]);
    expect(errors).toEqual([]);
  });

  it("change places, and who wants what stands elsewhere waits", () => {
    put("a.yaml", "one");
    put("b.yaml", "two");
    put("c.yaml", "three");
    agent.rescan();
    put("a.yaml", "two");
    put("b.yaml", "one");
    put("d.yaml", "three", "four");
    agent.rescan();
    expect(inForce().sort()).toEqual(["one b.yaml", "three c.yaml", "two a.yaml"]);
    expect(errors.join("")).toMatch(/d\.yaml/);
    expect(errors.join("")).not.toMatch(/[ab]\.yaml:/);
  });

  it("are refused while they stand twice, and taken over when the other is gone", () => {
    put("a.yaml", "one");
    agent.rescan();
    put("b.yaml", "one", "two");
    agent.rescan();
    expect(inForce()).toEqual(["one a.yaml"]);
    expect(errors.join("")).toMatch(/b\.yaml:1:1: error SKEP6034/);
    rmSync(join(folder, "policies", "a.yaml"));
    agent.rescan();
    expect(inForce()).toEqual(["one b.yaml", "two b.yaml"]);
    expect(agent.world.diagnostics()).toEqual([]);
  });
});
