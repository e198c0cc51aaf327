// The state outlives the agent: killed under load with the folder edited while it is dead, and started again.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { closeStage, type Host, openStage } from "../src/demo/host.ts";
import { Pilot, skep, type Stage, useCommand, until } from "../src/demo/stage.ts";
import { builtCommand } from "./built.ts";

const example = fileURLToPath(new URL("../../../examples/star-wars", import.meta.url));
const SERVICE = "10.96.0.10";
const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: the agent's outliving needs root and BPF");

describe.skipIf(!privileged)("an agent killed under load", () => {
  let stage: Stage;
  let host: Host;
  let tiefighter: Pilot;
  let xwing: Pilot;
  const folder = mkdtempSync(join(tmpdir(), "skep-outlive-"));

  beforeAll(async () => {
    useCommand(dirname(builtCommand()));
    const opened = await openStage(join(folder, "run"));
    if ("refused" in opened) throw new Error(opened.refused);
    ({ stage, host } = opened);
    stage.prepareFolder({
      "service.yaml": readFileSync(join(example, "service.yaml"), "utf8"),
      "policy.yaml": readFileSync(join(example, "policy.yaml"), "utf8"),
    });
    stage.startAgent(host.netns);
    expect(await stage.ready(), readFileSync(stage.agentLog, "utf8")).toBe(true);
    const star = { org: "empire", class: "deathstar" };
    stage.start("deathstar-1", star, "server");
    stage.start("deathstar-2", star, "server");
    tiefighter = new Pilot("tiefighter", stage.start("tiefighter", { org: "empire" }, "pilot"));
    xwing = new Pilot("xwing", stage.start("xwing", { org: "alliance" }, "pilot"));
    const up = await until(60_000, async () => ((await tiefighter.order("request", SERVICE)).ok ? true : null));
    expect(up, readFileSync(stage.agentLog, "utf8")).toBe(true);
  });

  afterAll(async () => {
    if (stage) await closeStage(stage, host);
    rmSync(folder, { recursive: true, force: true });
  });

  const identities = async (): Promise<unknown> =>
    JSON.parse((await skep(["identity", "list", "--run", stage.run, "-o", "json"])).stdout);

  it("answers 1,000 requests, keeps a stream, its identities, and enforces what was edited meanwhile", async () => {
    const before = await identities();
    expect((await tiefighter.order("stream", SERVICE)).ok).toBe(true);
    let answered = 0;
    const failures: string[] = [];
    for (let n = 0; n < 1000; n++) {
      if (n === 300) stage.agent?.kill("SIGKILL");
      if (n === 500) {
        // Nobody reads this yet: the agent is dead.
        const policy = readFileSync(join(example, "policy.yaml"), "utf8");
        stage.writePolicy(
          "policy.yaml",
          policy.replace(
            /org: empire\n(?=\s+toPorts)/,
            "org: empire\n        - matchLabels:\n            org: alliance\n",
          ),
        );
        expect((await xwing.order("request", SERVICE, { timeout: 300 })).ok, "the old policy stays in force").toBe(
          false,
        );
      }
      if (n === 700) stage.startAgent(host.netns);
      const answer = await tiefighter.order("request", SERVICE, { timeout: 30_000 });
      if (answer.ok) answered += 1;
      else failures.push(`${n}: ${answer.text}`);
    }
    expect(failures).toEqual([]);
    expect(answered).toBe(1000);
    expect(await stage.ready(), readFileSync(stage.agentLog, "utf8")).toBe(true);
    const landed = await until(60_000, async () =>
      (await xwing.order("request", SERVICE, { timeout: 300 })).ok ? true : null,
    );
    expect(landed, "the edit is in force").toBe(true);
    const streamed = await tiefighter.order("streamed", SERVICE);
    expect(streamed).toMatchObject({ ok: true });
    expect(Number(streamed.text)).toBeGreaterThan(100);
    expect(await identities()).toEqual(before);
    const flows = await skep(["observe", "--run", stage.run, "--last", "20", "-o", "json"]);
    expect(flows.stdout.trim().split("\n").length).toBeGreaterThan(1);
  });

  it("gives a workload that sends from its first instant nothing that policy forbids", async () => {
    stage.writePolicy("policy.yaml", readFileSync(join(example, "policy.yaml"), "utf8"));
    const closed = await until(60_000, async () =>
      (await xwing.order("request", SERVICE, { timeout: 200 })).ok ? null : true,
    );
    expect(closed).toBe(true);
    const backend = await host.addressOf("deathstar-1");
    // The first thing that it does is to connect, again and again, without a pause.
    const script = `const net=require("net");let open=0,tried=0;const end=Date.now()+700;(function go(){if(Date.now()>end&&tried>10){console.log(JSON.stringify({open,tried}));process.exit(0)}tried++;const s=net.connect(80,"${backend}",()=>{open++;s.destroy()});s.on("error",()=>{});setTimeout(()=>s.destroy(),30);setTimeout(go,2)})()`;
    const { stdout, code } = await skep([
      "run",
      "--run",
      stage.run,
      "--name",
      "raider",
      "--label",
      "org=alliance",
      "--",
      process.execPath,
      "-e",
      script,
    ]);
    expect(code).toBe(0);
    const { open, tried } = JSON.parse(stdout) as { open: number; tried: number };
    expect(tried).toBeGreaterThan(10);
    expect(open).toBe(0);
  });
});
