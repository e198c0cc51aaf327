/**
 * @module
 * `skep demo`: the Star Wars example, on real packets or on the simulated machine. Each check says what it saw; `--once` prints them as a table
 * and ends.
 */
import { readFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import pc from "picocolors";
import { servePage } from "@skep/agent";
import { pageFiles } from "../page-files.ts";
import { openRealTheatre } from "./real.ts";
import { openSimulatedTheatre } from "./simulated.ts";
import type { Player, SeenFlow, Theatre } from "./theatre.ts";

const SERVICE = "10.96.0.10";
const REQUESTS = 20;
const PAGE_PORT = 12_000;

interface Check {
  readonly name: string;
  readonly expected: string;
  readonly seen: string;
  readonly ok: boolean;
}

export interface DemoOptions {
  readonly once: boolean;
  readonly run: string;
  /** The folder of the example's documents. */
  readonly example: string;
  /** On the simulated machine; null: where the real one is not to be had. */
  readonly sim: boolean | null;
  /** How many times longer than usual everything may take: for a machine that does much else. Default: 1. */
  readonly patience?: number;
  /** Of the simulated machine. */
  readonly seed?: number;
  /** Loopback address of the page, which is served while the example stays up. */
  readonly uiAddr?: string;
  /** Ends it, as a signal to the process does. */
  readonly signal?: AbortSignal;
}

export async function demo(options: DemoOptions): Promise<number> {
  const theatre = await openTheatre(options);
  if (!theatre) return 2;
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
  const signal = options.signal ? AbortSignal.any([stop.signal, options.signal]) : stop.signal;
  let code = 1;
  try {
    code = await new Play(theatre, options).run(signal);
  } catch (error) {
    if (!signal.aborted) process.stderr.write(`skep demo: ${error instanceof Error ? error.message : String(error)}\n`);
  } finally {
    await theatre.close();
  }
  return code;
}

/** The page's usual address, or any port where it is taken. */
async function freeAddress(given: string | undefined): Promise<string> {
  if (given !== undefined) return given;
  const isTaken = await new Promise<boolean>((resolve) => {
    const socket = net.connect(PAGE_PORT, "127.0.0.1", () => resolve(true));
    socket.once("error", () => resolve(false)).once("connect", () => socket.destroy());
  });
  return `127.0.0.1:${isTaken ? 0 : PAGE_PORT}`;
}

async function openTheatre({ sim, run, once, seed = 1 }: DemoOptions): Promise<Theatre | null> {
  if (sim === true) return openSimulatedTheatre(seed, !once);
  const opened = await openRealTheatre(run);
  if (!("refused" in opened)) return opened;
  process.stderr.write(`${opened.refused}\n`);
  if (sim === false || !opened.isForWantOfBpf) return null;
  process.stderr.write("the example plays on the simulated machine instead: the same programs, no real packets\n");
  return openSimulatedTheatre(seed, !once);
}

class Play {
  readonly #theatre: Theatre;
  readonly #options: DemoOptions;
  readonly #checks: Check[] = [];
  readonly #flows: SeenFlow[] = [];
  readonly #pilots: Player[] = [];
  #staying = false;
  readonly #started: number;

  constructor(theatre: Theatre, options: DemoOptions) {
    this.#theatre = theatre;
    this.#options = options;
    this.#started = theatre.now();
  }

  async run(signal: AbortSignal): Promise<number> {
    const aborted = new Promise<"aborted">((resolve) => signal.addEventListener("abort", () => resolve("aborted")));
    const played = await Promise.race([this.#theatre.run(this.#play()), aborted]);
    if (played === "aborted") return 130;
    const failed = this.#checks.filter((check) => !check.ok);
    if (this.#options.once) this.#table();
    else await this.#stay(signal);
    return failed.length > 0 ? 1 : 0;
  }

  /** Serves the page, and lets the ships fly on, so that it has something to show. */
  async #stay(signal: AbortSignal): Promise<void> {
    const { invitation, page: routes } = this.#theatre;
    const page = await servePage({ listen: await freeAddress(this.#options.uiAddr), files: pageFiles, routes });
    const lines = [`${pc.bold("See it:")} ${page.url}`, ...(invitation === null ? [] : [invitation])];
    process.stdout.write(`\n${lines.join("\n")}\n${pc.dim("Ctrl-C ends it and leaves nothing behind.")}\n\n`);
    this.#staying = true;
    try {
      await Promise.all([this.#theatre.stay(signal), ...this.#patrols(signal)]);
    } finally {
      await page.close();
    }
    process.stdout.write("\n");
  }

  #patrols(signal: AbortSignal): Promise<void>[] {
    return this.#pilots.map((pilot, i) => this.#patrol(pilot, { every: 600 + 900 * i, signal }));
  }

  async #patrol(pilot: Player, { every, signal }: { every: number; signal: AbortSignal }): Promise<void> {
    const ended = new Promise<null>((resolve) => signal.addEventListener("abort", () => resolve(null)));
    while (!signal.aborted) {
      await Promise.race([pilot.order("request", SERVICE, { timeout: 500 }), ended]);
      await Promise.race([this.#theatre.until(every, () => null), ended]);
    }
  }

  async #play(): Promise<void> {
    const { tiefighter, xwing } = await this.#cast();
    this.#pilots.push(tiefighter, xwing);

    this.#act("Before any policy, everybody may land.");
    await this.#landing("allowed before the policy: tiefighter", tiefighter, true);
    await this.#landing("allowed before the policy: xwing", xwing, true);

    this.#act("The empire's policy is put into the folder: only org=empire, only port 80.");
    const policy = this.#document("policy.yaml");
    this.#theatre.writePolicy("policy.yaml", policy);
    await this.#enforced(xwing, false);
    await this.#both(tiefighter);
    await this.#landing("xwing denied at L3/L4", xwing, false);
    await this.#dropSeen("xwing", 80);
    await this.#repliesSeen();
    const other = await tiefighter.order("request", await this.#backendAddress(), { port: 8080, timeout: 600 });
    this.#check(
      "default deny after the policy: tiefighter to port 8080",
      "denied",
      other.ok ? "allowed" : `denied (${other.text})`,
      !other.ok,
    );

    this.#act("The policy is edited while it runs: the alliance may land too.");
    this.#theatre.writePolicy(
      "policy.yaml",
      policy.replace(
        /fromEndpoints:\n(\s+)- matchLabels:\n\s+org: empire/,
        (text, indent: string) => `${text}\n${indent}- matchLabels:\n${indent}    org: alliance`,
      ),
    );
    await this.#enforced(xwing, true);
    await this.#landing("allowed after the edit: xwing", xwing, true);
    const held = await xwing.order("hold", SERVICE);
    const beat = await xwing.order("beat", SERVICE);
    this.#check(
      "a connection held open: xwing",
      "answers",
      held.ok && beat.ok ? "answers" : beat.text,
      held.ok && beat.ok,
    );

    this.#act("And back: what is open must stop.");
    const revoked = this.#theatre.now();
    this.#theatre.writePolicy("policy.yaml", policy);
    const stopped = await this.#theatre.until(5000 * this.#patience, async () =>
      (await xwing.order("beat", SERVICE, { timeout: 300 })).ok ? null : this.#theatre.now() - revoked,
    );
    // The last beat waits out its 300 ms before it counts as unanswered.
    const within = stopped === null ? null : Math.max(0, stopped - 300);
    this.#check(
      `the open connection stops within ${this.#patience} s`,
      "stopped",
      within === null ? `still open after ${5 * this.#patience} s` : `stopped after ${Math.round(within)} ms`,
      within !== null && within <= 1000 * this.#patience,
    );
    await this.#landing("denied after the edit is undone: xwing", xwing, false);
  }

  get #patience(): number {
    return this.#options.patience ?? 1;
  }

  async #cast(): Promise<{ tiefighter: Player; xwing: Player }> {
    this.#act("Raising the agent and four workloads, each in a network namespace of its own.");
    const star = { org: "empire", class: "deathstar" };
    await this.#theatre.open({ "service.yaml": this.#document("service.yaml") }, (flow) => {
      // What flies on afterwards is for the page; the terminal shows who joins.
      if (this.#staying && this.#isOfTheCast(flow)) return;
      this.#flows.push(flow);
      if (!this.#options.once) this.#showFlow(flow);
    });
    this.#theatre.server("deathstar-1", star);
    this.#theatre.server("deathstar-2", star);
    const tiefighter = this.#theatre.pilot("tiefighter", { org: "empire", class: "tiefighter" });
    const xwing = this.#theatre.pilot("xwing", { org: "alliance", class: "xwing" });
    // Both backends answer before the story begins.
    const names = new Set<string>();
    const up = await this.#theatre.until(15_000 * this.#patience, async () => {
      names.add((await tiefighter.order("request", SERVICE)).text);
      return [...names].filter((text) => text.includes("landed")).length === 2 ? true : null;
    });
    if (up === null) throw new Error(`the deathstars did not come up; last answers: ${[...names].join(", ")}`);
    return { tiefighter, xwing };
  }

  #isOfTheCast({ source, destination }: SeenFlow): boolean {
    return this.#pilots.some(({ name }) => [source?.pod_name, destination?.pod_name].includes(name));
  }

  async #landing(name: string, pilot: Player, allowed: boolean): Promise<void> {
    const answer = await pilot.order("request", SERVICE, { timeout: allowed ? 2000 * this.#patience : 700 });
    const seen = answer.ok ? `allowed (${answer.text})` : `denied (${answer.text})`;
    this.#check(name, allowed ? "allowed" : "denied", seen, answer.ok === allowed);
  }

  /** Waits until the edit shows: enforced within a second of the file's change. */
  async #enforced(pilot: Player, allowed: boolean): Promise<void> {
    const started = this.#theatre.now();
    const done = await this.#theatre.until(3000 * this.#patience, async () =>
      (await pilot.order("request", SERVICE, { timeout: 150 })).ok === allowed ? true : null,
    );
    const took = this.#theatre.now() - started;
    // A denied request is known by its 150 ms of silence.
    const waited = Math.max(0, took - (allowed ? 0 : 150));
    this.#check(
      `the edit is in force within ${this.#patience} s`,
      "in force",
      done ? `in force after ${Math.round(waited)} ms` : `not in force after ${3 * this.#patience} s`,
      done !== null && waited <= 1000 * this.#patience,
    );
  }

  async #both(pilot: Player): Promise<void> {
    const count = new Map<string, number>();
    const peers = new Set<string>();
    for (let n = 0; n < REQUESTS; n++) {
      const answer = await pilot.order("request", SERVICE);
      const who = answer.ok ? (answer.text.split(":")[0] ?? "?") : `failed (${answer.text})`;
      count.set(who, (count.get(who) ?? 0) + 1);
      if (answer.peer) peers.add(answer.peer);
    }
    const seen = [...count]
      .map(([who, n]) => `${who} ${n}×`)
      .sort()
      .join(", ");
    const answered = (count.get("deathstar-1") ?? 0) + (count.get("deathstar-2") ?? 0);
    this.#check(
      `tiefighter to the service, ${REQUESTS} requests`,
      "both backends",
      seen,
      answered === REQUESTS && count.size === 2,
    );
    this.#check(
      "getpeername shows the service",
      `${SERVICE}:80`,
      [...peers].join(", "),
      peers.size === 1 && peers.has(`${SERVICE}:80`),
    );
  }

  async #dropSeen(from: string, port: number): Promise<void> {
    const found = await this.#theatre.until(
      3000 * this.#patience,
      () =>
        this.#flows.find(
          (flow) =>
            flow.verdict === "DROPPED" && flow.source?.pod_name === from && flow.l4?.TCP?.destination_port === port,
        ) ?? null,
    );
    this.#check(
      `the flow log names the drop: ${from}`,
      "DROPPED, 133",
      found ? `${found.verdict}, ${found.drop_reason}, ${found.traffic_direction}` : "no such flow",
      found?.drop_reason === 133,
    );
  }

  async #repliesSeen(): Promise<void> {
    const found = await this.#theatre.until(
      3000 * this.#patience,
      () =>
        this.#flows.find(
          (flow) =>
            flow.is_reply === true && flow.verdict === "FORWARDED" && flow.destination?.pod_name === "tiefighter",
        ) ?? null,
    );
    this.#check(
      "replies pass",
      "FORWARDED, reply",
      found ? `${found.verdict}, reply from ${found.source?.pod_name ?? "?"}` : "no such flow",
      found !== null,
    );
  }

  /** An address behind the service, so that the second port is asked for past it. */
  #backendAddress(): Promise<string> {
    return this.#theatre.addressOf("deathstar-1");
  }

  #showFlow(flow: SeenFlow): void {
    const verdict = flow.verdict === "DROPPED" ? pc.red("DROPPED  ") : pc.green("FORWARDED");
    const tcp = flow.l4?.TCP;
    const arrow = flow.is_reply ? "←" : "→";
    const reason = flow.drop_reason
      ? pc.red(` (${flow.drop_reason} ${flow.traffic_direction?.toLowerCase() ?? ""})`)
      : "";
    process.stdout.write(
      pc.dim(
        `      flow ${verdict} ${flow.source?.pod_name ?? "world"}:${tcp?.source_port ?? ""} ${arrow} ${flow.destination?.pod_name ?? "world"}:${tcp?.destination_port ?? ""}${reason}\n`,
      ),
    );
  }

  #document(name: string): string {
    return readFileSync(join(this.#options.example, name), "utf8");
  }

  #act(text: string): void {
    process.stdout.write(`\n${pc.bold(text)}\n`);
  }

  #check(name: string, expected: string, seen: string, ok: boolean): void {
    this.#checks.push({ name, expected, seen, ok });
    process.stdout.write(
      `  ${ok ? pc.green("✓") : pc.red("✗")} ${name}: ${seen}${ok ? "" : pc.red(` (expected: ${expected})`)}\n`,
    );
  }

  #table(): void {
    const rows = [
      ["CHECK", "EXPECTED", "SEEN", ""],
      ...this.#checks.map((check) => [check.name, check.expected, check.seen, check.ok ? "ok" : "DIFFERS"]),
    ];
    const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
    process.stdout.write("\n");
    for (const row of rows)
      process.stdout.write(
        `${row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd()}\n`,
      );
    const failed = this.#checks.filter((check) => !check.ok).length;
    const seconds = ((this.#theatre.now() - this.#started) / 1000).toFixed(1);
    process.stdout.write(
      `\n${this.#checks.length - failed} of ${this.#checks.length} checks as expected, ${seconds} s\n`,
    );
  }
}
