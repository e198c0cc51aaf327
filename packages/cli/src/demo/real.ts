/**
 * @module
 * The example on real packets: namespaces, processes, an agent of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import readline from "node:readline";
import pc from "picocolors";
import { clientPageRoutes, type PageOptions } from "@skep/agent";
import { type AgentClient, connect } from "../client.ts";
import { doctorSummary } from "../doctor.ts";
import { closeStage, type Host, openStage } from "./host.ts";
import { command, Pilot, type Stage, until } from "./stage.ts";
import type { Labels, Player, SeenFlow, Theatre } from "./theatre.ts";

/** `isForWantOfBpf`: this machine cannot have it at all. */
export interface Refused {
  readonly refused: string;
  readonly isForWantOfBpf: boolean;
}

export async function openRealTheatre(run: string): Promise<Theatre | Refused> {
  const missing = await doctorSummary();
  if (missing !== null) return { refused: missing, isForWantOfBpf: true };
  const opened = await openStage(run);
  if ("refused" in opened) return { ...opened, isForWantOfBpf: false };
  return new RealTheatre(opened.stage, opened.host);
}

class RealTheatre implements Theatre {
  readonly #stage: Stage;
  readonly #host: Host;
  #observer: ChildProcess | undefined;
  #client: AgentClient | undefined;

  constructor(stage: Stage, host: Host) {
    this.#stage = stage;
    this.#host = host;
  }

  async open(documents: Labels, onFlow: (flow: SeenFlow) => void): Promise<void> {
    this.#stage.prepareFolder(documents);
    const agent = this.#stage.startAgent(this.#host.netns);
    if ((await this.#stage.ready()) === null) {
      const exit = agent.exitCode === null ? "" : ` (exit ${agent.exitCode})`;
      throw new Error(`the agent did not come up${exit}:\n${readFileSync(this.#stage.agentLog, "utf8").trim()}`);
    }
    this.#observe(onFlow);
  }

  #observe(onFlow: (flow: SeenFlow) => void): void {
    const child = spawn(process.execPath, [command(), "observe", "--run", this.#stage.run, "-f", "-o", "json"], {
      stdio: ["ignore", "pipe", "inherit"],
      detached: true,
    });
    this.#observer = child;
    this.#stage.track(child);
    readline.createInterface({ input: child.stdout }).on("line", (line) => {
      const { flow } = JSON.parse(line) as { flow?: SeenFlow };
      if (flow) onFlow(flow);
    });
  }

  server(name: string, labels: Labels): void {
    this.#stage.start(name, labels, "server");
  }

  pilot(name: string, labels: Labels): Player {
    return new Pilot(name, this.#stage.start(name, labels, "pilot"));
  }

  writePolicy(name: string, text: string): void {
    this.#stage.writePolicy(name, text);
  }

  addressOf(workload: string): Promise<string> {
    return this.#host.addressOf(workload);
  }

  now(): number {
    return performance.now();
  }

  until<T>(ms: number, ask: () => Promise<T | null> | T | null): Promise<T | null> {
    return until(ms, ask);
  }

  run<T>(play: Promise<T>): Promise<T> {
    return play;
  }

  get invitation(): string {
    const where = this.#stage.run === "/run/skep" ? "" : ` --run ${this.#stage.run}`;
    return [
      pc.bold("It stays up. In another terminal:"),
      `  npx skep run${where} --name falcon --label org=alliance -- curl -sm 2 http://10.96.0.10/v1/request-landing`,
      `  npx skep observe${where} -f --verdict DROPPED`,
      `  npx skep status${where}`,
      `  edit ${join(this.#stage.policies, "policy.yaml")} and see the verdict change`,
    ].join("\n");
  }

  get page(): PageOptions["routes"] {
    this.#client ??= connect(this.#stage.run);
    return clientPageRoutes(this.#client);
  }

  stay(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return Promise.resolve();
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }

  async close(): Promise<void> {
    this.#client?.close();
    this.#observer?.kill("SIGTERM");
    await closeStage(this.#stage, this.#host);
  }
}
