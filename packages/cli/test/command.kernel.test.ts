// The command beside a real agent: workloads, their end, refused files, and taking everything down after a kill.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { openLinux } from "@skep/linux";
import { until } from "../src/demo/stage.ts";
import { doctorSummary } from "../src/doctor.ts";
import { bpfMounts } from "../src/place.ts";
import { builtCommand } from "./built.ts";

const missing = process.getuid?.() === 0 ? await doctorSummary() : "the command's tests need root and BPF";
if (missing !== null) console.warn(`skipped: ${missing}`);

interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const policy = (org: string): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: { name: landing }
spec:
  endpointSelector: { matchLabels: { class: deathstar } }
  ingress:
    - fromEndpoints: [{ matchLabels: { org: ${org} } }]
`;

/** Names without their values, which are others a moment later. */
const shape = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(shape)
    : value !== null && typeof value === "object"
      ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shape(each)]))
      : typeof value;

describe.skipIf(missing !== null)("the command beside an agent", () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-command-"));
  const name = `skep-test-command-${process.pid}`;
  const run = join(folder, "run");
  const policies = join(folder, "policies");
  const machine = openLinux({ runFolder: run });
  const host = "host";
  const mountsBefore = missing === null ? bpfMounts() : [];
  let command = "";
  let agent: ChildProcess;
  let places: string[] = [];
  let log = "";

  function start(...args: string[]): ChildProcess {
    return spawn(process.execPath, [command, ...args], { env: { ...process.env, SKEP_RUN: run } });
  }

  async function skep(...args: string[]): Promise<Ran> {
    return ended(start(...args));
  }

  function ended(child: ChildProcess): Promise<Ran> {
    let stdout = "";
    let stderr = "";
    child.stdout?.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr?.on("data", (data: Buffer) => (stderr += data.toString()));
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, stdout, stderr })));
  }

  async function startAgent(): Promise<void> {
    agent = start("up", policies, ...places, "--node-name", "endor");
    agent.stderr?.on("data", (data: Buffer) => (log += data.toString()));
    const ready = await until(60_000, async () => ((await skep("status")).code === 0 ? true : null));
    expect(ready, log).toBe(true);
  }

  interface ListedEndpoint {
    readonly id: number;
    readonly identity: number;
    readonly name: string;
    readonly ipv4: string;
    readonly netns_path: string;
    readonly cgroup_path: string;
  }

  const endpoints = async (): Promise<ListedEndpoint[]> =>
    JSON.parse((await skep("endpoint", "list", "-o", "json")).stdout) as ListedEndpoint[];
  const endpointNamed = (wanted: string): Promise<ListedEndpoint | null> =>
    until(60_000, async () => (await endpoints()).find((each) => each.name === wanted) ?? null);

  beforeAll(async () => {
    command = builtCommand();
    mkdirSync(policies);
    mkdirSync(run);
    const netns = machine.net.createNamespace(host).path;
    const pins = join(folder, "bpf");
    places = ["--state", join(folder, "state"), "--pins", pins, "--cgroup", name, "--netns", netns];
    await startAgent();
  });

  afterAll(async () => {
    agent.kill("SIGKILL");
    await skep("down");
    await machine.processes.deleteCgroup(name);
    if (machine.net.openNamespace(host)) machine.net.deleteNamespace(host);
    rmSync(folder, { recursive: true, force: true });
  });

  it("keeps its socket for its owner alone", () => {
    expect(statSync(join(run, "skep.sock")).mode & 0o777).toBe(0o600);
  });

  it("runs a workload with its output and exit status, and removes it", async () => {
    const script = "echo out; echo err >&2; cat; ip -o addr show eth0 2>/dev/null | head -1; exit 7";
    const child = start("run", "--name", "short", "--label", "org=empire", "--", "sh", "-c", script);
    child.stdin?.end("in\n");
    const { code, stdout, stderr } = await ended(child);
    expect({ code, stderr }).toEqual({ code: 7, stderr: "err\n" });
    expect(stdout).toMatch(/^out\nin\n/);
    expect(await endpoints()).toEqual([]);
  });

  it("prints the same as JSON and as YAML", async () => {
    for (const list of [["node", "list"], ["bpf", "ipcache", "list"], ["status"]]) {
      const [json, yaml] = await Promise.all(["json", "yaml"].map((format) => skep(...list, "-o", format)));
      expect(yaml).toMatchObject({ code: 0, stderr: "" });
      expect(shape(parse(yaml?.stdout ?? ""))).toEqual(shape(JSON.parse(json?.stdout ?? "")));
    }
  });

  it("passes signals on, and tells a command that is not there", async () => {
    const child = start(
      "run",
      "--name",
      "trap",
      "--",
      "sh",
      "-c",
      "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done",
    );
    const end = ended(child);
    await new Promise((resolve) => child.stdout?.once("data", resolve));
    expect(await endpointNamed("trap")).not.toBeNull();
    child.kill("SIGTERM");
    expect((await end).code).toBe(9);
    expect((await skep("run", "--name", "none", "--", "/nonexistent/command")).code).toBe(127);
    expect((await skep("run", "--name", "killed", "--", "sh", "-c", "kill -KILL $$")).code).toBe(137);
    expect(await endpoints()).toEqual([]);
  });

  it("refuses a name twice, and what is no name", async () => {
    const first = start("run", "--name", "twice", "--", "sleep", "60");
    const end = ended(first);
    expect(await endpointNamed("twice")).not.toBeNull();
    const second = await skep("run", "--name", "twice", "--", "true");
    expect(second).toMatchObject({ code: 1, stderr: expect.stringMatching(/^skep: .*default\/twice.*\n$/) as string });
    expect(await skep("run", "--name", "No Name", "--", "true")).toMatchObject({ code: 1 });
    first.kill("SIGTERM");
    await end;
  });

  it("refuses a second agent on its run folder", async () => {
    const second = await skep("up", policies, ...places);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain("an agent is already at work");
  });

  it("keeps what was in force where a file is wrong, and says where", async () => {
    const file = join(policies, "landing.yaml");
    writeFileSync(file, policy("empire"));
    expect((await skep("policy", "wait", "--timeout", "60s")).code).toBe(0);
    const applied = await until(60_000, async () =>
      (await skep("policy", "get")).stdout.includes("default/landing") ? true : null,
    );
    expect(applied).toBe(true);
    const before = JSON.parse((await skep("policy", "get", "-o", "json")).stdout) as { rules: { text: string }[] };
    writeFileSync(file, policy("empire").replace("fromEndpoints", "fromNowhere"));
    const refused = await until(60_000, async () => {
      const { stdout } = await skep("status");
      return stdout.includes("landing.yaml:7:") ? stdout : null;
    });
    expect(refused).toMatch(/landing\.yaml:7:\d+: error SKEP\d+: /);
    const after = JSON.parse((await skep("policy", "get", "-o", "json")).stdout) as { rules: { text: string }[] };
    expect(after.rules).toEqual(before.rules);
    writeFileSync(file, policy("empire"));
  });

  it("shows flows of a workload, by name and with the verdict", async () => {
    const server = start(
      "run",
      "--name",
      "deathstar",
      "--label",
      "class=deathstar",
      "--",
      process.execPath,
      "-e",
      SERVER,
    );
    const end = ended(server);
    await new Promise((resolve) => server.stdout?.once("data", resolve));
    const target = await endpointNamed("deathstar");
    const connect = (patience: number): string =>
      `require("net").connect(80,"${target?.ipv4}",()=>process.exit(0)).on("error",()=>process.exit(1));setTimeout(()=>process.exit(5),${patience})`;
    const as = (org: string, patience: number): Promise<Ran> =>
      skep("run", "--name", `ship-${org}`, "--label", `org=${org}`, "--", process.execPath, "-e", connect(patience));
    expect((await as("empire", 30_000)).code).toBe(0);
    expect((await as("alliance", 400)).code).toBe(5);
    const dropped = await until(60_000, async () => {
      const { stdout } = await skep("observe", "--from-pod", "ship-alliance", "--verdict", "DROPPED", "-o", "json");
      return stdout === "" ? null : stdout;
    });
    const { flow } = JSON.parse(dropped?.split("\n")[0] ?? "{}") as { flow: Record<string, unknown> };
    expect(flow).toMatchObject({
      verdict: "DROPPED",
      drop_reason: 133,
      drop_reason_desc: "POLICY_DENIED",
      traffic_direction: "INGRESS",
      is_reply: false,
      node_name: "default/endor",
      source: { pod_name: "ship-alliance", namespace: "default" },
      destination: { pod_name: "deathstar" },
      ingress_denied_by: [{ name: "landing", kind: "CiliumNetworkPolicy" }],
    });
    const why = (await skep("why", "--from-pod", "ship-alliance")).stdout;
    expect(why).toMatch(/ingress denied \(no rule allows it\)\n {2}nearest: .*landing.*landing\.yaml:\d+/);
    const compact = (await skep("observe", "--from-pod", "ship-empire", "--to-pod", "deathstar")).stdout;
    expect(compact).toMatch(
      /default\/ship-empire:\d+ \(ID:\d+\) -> default\/deathstar:80 \(ID:\d+\) to-endpoint FORWARDED/,
    );
    const reply = (await skep("observe", "--from-pod", "deathstar", "--to-pod", "ship-empire")).stdout;
    expect(reply).toMatch(
      /default\/ship-empire:\d+ \(ID:\d+\) <- default\/deathstar:80 \(ID:\d+\) to-endpoint FORWARDED/,
    );
    expect((await skep("endpoint", "list")).stdout).toMatch(/default\/deathstar +Enabled +Disabled/);
    const guard = start("run", "--name", "guard", "--label", "org=empire", "--", "sleep", "60");
    const guarded = ended(guard);
    expect(await endpointNamed("guard")).not.toBeNull();
    expect((await skep("policy", "get", "deathstar")).stdout).toMatch(/Allow +Ingress +\d+ k8s:org=empire +ANY\/ANY/);
    type Row = Record<string, unknown>;
    const table = async (...args: string[]): Promise<Row[]> =>
      JSON.parse((await skep("bpf", ...args, "-o", "json")).stdout) as Row[];
    expect(await table("endpoint", "list")).toContainEqual(
      expect.objectContaining({ id: target?.id, identity: target?.identity, ipv4: target?.ipv4 }),
    );
    expect(await table("policy", "list", String(target?.id))).toContainEqual(
      expect.objectContaining({ policy: "allow", direction: "ingress", protocol: "ANY", port: "ANY" }),
    );
    expect(await table("metrics", "list")).toContainEqual(
      expect.objectContaining({ reason: 133, text: "Policy denied", direction: "ingress" }),
    );
    expect((await skep("bpf", "ipcache", "list")).stdout).toMatch(/^PREFIX +IDENTITY\n(?:.*\n)*0\.0\.0\.0\/0 +2\n/);
    guard.kill("SIGTERM");
    await guarded;
    server.kill("SIGTERM");
    await end;
  });

  it("takes everything down after a kill of the agent and of skep run", async () => {
    const running = start("run", "--name", "left", "--", "sleep", "600");
    const left = await endpointNamed("left");
    if (!left) throw new Error("the workload did not come up");
    agent.kill("SIGKILL");
    running.kill("SIGKILL");
    await until(60_000, () => (agent.signalCode !== null ? true : null));
    expect(existsSync(left.netns_path)).toBe(true);
    const { code, stderr } = await skep("down");
    expect(stderr).toBe("skep: the datapath is down\n");
    expect(code).toBe(0);
    expect(existsSync(left.netns_path)).toBe(false);
    expect(existsSync(left.cgroup_path)).toBe(false);
    expect(machine.processes.cgroupProcesses(name)).toBeNull();
    expect(existsSync(join(folder, "state"))).toBe(false);
    expect(existsSync(join(run, "skep.sock"))).toBe(false);
    expect(bpfMounts().filter((point) => point.startsWith(folder))).toEqual([]);
    expect(mountsBefore.filter((point) => !bpfMounts().includes(point) && existsSync(point))).toEqual([]);
    const interfaces = spawnSync(
      "nsenter",
      [`--net=${machine.net.openNamespace(host)?.path}`, "ls", "/proc/self/net/dev_snmp6"],
      {
        encoding: "utf8",
      },
    );
    expect(interfaces.stdout).not.toContain("skep");
    // Again is no error, and a fresh start works.
    expect((await skep("down")).code).toBe(0);
    await startAgent();
    expect(await endpoints()).toEqual([]);
    expect(readFileSync(join(run, "place.json"), "utf8")).toContain(name);
  });
});

const SERVER = `require("net").createServer((socket)=>socket.end()).listen(80,()=>console.log("up"))`;
