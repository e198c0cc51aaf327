import { enableStatistics, followTraceLog, isTraceOn, NotSupportedError, readStream } from "@skep/linux";
import { usageError } from "../errors.ts";
import { note, write } from "../output/print.ts";
import { formatPairs } from "../output/table.ts";
import { oneProgram } from "./select.ts";
import type { Session } from "./session.ts";
import { Limit, secondsOrInterrupt } from "./until.ts";

/** What needs hardware counters and programs at the program's entry and exit. */
const hardware = ["cycles", "instructions", "l1d_loads", "llc_misses", "itlb_misses", "dtlb_misses"];

interface ProfileWords {
  readonly seconds: number | null;
  readonly metrics: ReadonlySet<string>;
}

function readWords(session: Session): ProfileWords {
  const { words } = session;
  let seconds: number | null = null;
  const metrics = new Set<string>();
  while (!words.isEmpty) {
    const word = words.peek() ?? "";
    if (words.take("duration")) {
      const text = words.next("a number of seconds");
      if (!/^\d+(\.\d+)?$/.test(text)) throw usageError(`duration: "${text}" is no number of seconds`);
      seconds = Number(text);
    } else if (hardware.includes(word))
      throw new NotSupportedError(`the metric ${word}`, {
        detail: "runs and their time come from the kernel's statistics: run_cnt, run_time",
      });
    else if (words.take("run_cnt", "run_time")) metrics.add(word);
    else words.end("duration SECONDS", "run_cnt", "run_time");
  }
  return { seconds, metrics: metrics.size === 0 ? new Set(["run_cnt", "run_time"]) : metrics };
}

/** `prog profile PROG [...]`. */
export async function progProfile(session: Session): Promise<void> {
  const program = oneProgram(session);
  const { seconds, metrics } = readWords(session);
  session.keep(enableStatistics());
  const before = program.refresh();
  await secondsOrInterrupt(seconds);
  const after = program.refresh();
  const runs = after.runCount - before.runCount;
  const time = after.runTime - before.runTime;
  const average = runs === 0n ? 0 : Number(time) / Number(runs);
  const tree = {
    id: program.info.id,
    run_cnt: metrics.has("run_cnt") ? runs : undefined,
    run_time_ns: metrics.has("run_time") ? time : undefined,
    ns_per_run: metrics.size === 2 ? Math.round(average * 10) / 10 : undefined,
  };
  await session.print(tree, () =>
    formatPairs(
      Object.entries(tree).flatMap(([name, value]) => (value === undefined ? [] : [[name, `${value}`] as const])),
    ),
  );
}

async function printStream(session: Session, stream: "stdout" | "stderr"): Promise<void> {
  const program = oneProgram(session);
  session.words.end();
  const text = new TextDecoder().decode(readStream(program, stream));
  await session.print(
    text.split("\n").filter((line) => line !== ""),
    () => text,
  );
}

/** `prog tracelog [...]`. */
export async function progTracelog(session: Session): Promise<void> {
  const { words } = session;
  if (words.take("stdout")) return printStream(session, "stdout");
  if (words.take("stderr")) return printStream(session, "stderr");
  const limit = new Limit(words.take("count") ? words.number("how many lines") : null);
  words.end("count N", "stdout PROG", "stderr PROG");
  if (!isTraceOn())
    note("the machine's trace is switched off: programs print nothing until 1 is written to tracing_on in tracefs");
  let written = Promise.resolve();
  session.keep(
    followTraceLog((text) => {
      for (const line of text.split("\n")) {
        if (line === "" || !limit.take()) continue;
        written = written.then(() => write(session.isJson ? `${JSON.stringify({ line })}\n` : `${line}\n`));
      }
    }),
  );
  await limit.done;
  await written;
}
