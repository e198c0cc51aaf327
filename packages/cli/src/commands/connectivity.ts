/**
 * @module
 * `skep connectivity test`: scenarios under Cilium's names, on a ground that is made for them and taken away.
 */
import { writeFileSync } from "node:fs";
import pc from "picocolors";
import type { Ground } from "../connectivity/ground.ts";
import { failureLines, junit } from "../connectivity/print.ts";
import { ConnectivityTest, type Outcome } from "../connectivity/run.ts";
import { type Scenario, scenarios } from "../connectivity/scenarios.ts";
import { doctorSummary } from "../doctor.ts";
import { CliError, EXIT_USAGE, usageError } from "../errors.ts";
import { hasColor, type ListFormat, printAs, write } from "../output/print.ts";
import { formatTable } from "../output/table.ts";
import { useDemoCommand } from "./demo.ts";

export interface ConnectivityOptions {
  readonly sim?: boolean;
  readonly seed?: number;
  readonly list?: boolean;
  /** Regular expressions on names; any of them. */
  readonly test?: readonly string[];
  readonly output: ListFormat;
  readonly junitFile?: string;
  /** Where the frames go that the play sends. */
  readonly capture?: string;
}

function chosen(patterns: readonly string[] | undefined): Scenario[] {
  if (!patterns) return [...scenarios];
  const tests = patterns.map((pattern) => {
    try {
      return new RegExp(pattern);
    } catch {
      throw usageError(`"${pattern}" is no regular expression`);
    }
  });
  const found = scenarios.filter(({ name }) => tests.some((test) => test.test(name)));
  if (found.length === 0) throw usageError(`no scenario is named like ${patterns.join(" or ")}: see --list`);
  return found;
}

async function openGround({ sim, seed }: ConnectivityOptions): Promise<Ground> {
  if (sim === true) return (await import("../connectivity/sim-ground.ts")).openSimGround(seed ?? 1);
  const missing = await doctorSummary();
  if (missing !== null) throw new CliError(`${missing}\nor play it on the simulated machine: --sim`, EXIT_USAGE);
  await useDemoCommand();
  return (await import("../connectivity/linux-ground.ts")).openLinuxGround();
}

function line({ name, summary, ok, took }: Outcome): string {
  const { green, red, dim } = pc.createColors(hasColor());
  return `${ok ? green("ok  ") : red("FAIL")} ${name} ${dim(`${summary} (${Math.round(took)} ms)`)}\n`;
}

async function play(ground: Ground, wanted: readonly Scenario[], isTold: boolean): Promise<Outcome[]> {
  const test = new ConnectivityTest(ground, () => performance.now());
  const outcomes: Outcome[] = [];
  const tell = async (outcome: Outcome): Promise<void> => {
    outcomes.push(outcome);
    if (isTold)
      await write(
        line(outcome) +
          failureLines(outcome)
            .map((text) => `       ${text}\n`)
            .join(""),
      );
  };
  for (const scenario of wanted) await tell(await test.run(scenario));
  for (const outcome of test.closing()) await tell(outcome);
  return outcomes;
}

const stopped = (): { readonly promise: Promise<"stopped">; readonly forget: () => void } => {
  let forget = (): void => undefined;
  const promise = new Promise<"stopped">((resolve) => {
    const stop = (): void => resolve("stopped");
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
    for (const signal of signals) process.once(signal, stop);
    forget = () => signals.forEach((signal) => process.off(signal, stop));
  });
  return { promise, forget };
};

export async function connectivityTest(options: ConnectivityOptions): Promise<number> {
  const wanted = chosen(options.test);
  if (options.list === true) {
    const rows = wanted.map(({ name, summary, probes }) => ({ name, summary, probes: probes.length }));
    await printAs(options.output, rows, () =>
      formatTable(
        ["NAME", "PROBES", "WHAT"],
        rows.map(({ name, summary, probes }) => [name, String(probes), summary]),
      ),
    );
    return 0;
  }
  const stop = stopped();
  const ground = await openGround(options);
  const captured = options.capture === undefined ? null : ground.capture();
  try {
    const playing = ground.run(play(ground, wanted, options.output === "table"));
    const played = await Promise.race([playing, stop.promise]);
    if (played === "stopped") {
      // The ground is taken away under it: how it fails is nobody's concern.
      playing.catch(() => undefined);
      return 130;
    }
    if (options.junitFile !== undefined) writeFileSync(options.junitFile, junit(played, ground.machine));
    const failed = played.filter(({ ok }) => !ok);
    if (options.output === "table")
      await write(`${played.length - failed.length} of ${played.length} passed on ${ground.machine}\n`);
    else
      await printAs(
        options.output,
        played.map((outcome) => ({ ...outcome, findings: outcome.findings.map((finding) => ({ ...finding })) })),
        () => "",
      );
    return failed.length > 0 ? 1 : 0;
  } finally {
    stop.forget();
    if (captured && options.capture !== undefined) writeFileSync(options.capture, captured());
    await ground.close();
  }
}
