import { type Command, Option } from "commander";
import type { MonitorCommand } from "../commands/monitor.ts";
import type { ObserveOptions } from "../commands/observe.ts";
import type { WhyOptions } from "../commands/why.ts";
import type { FilterBuilder } from "../observe/filters.ts";
import { agentOption, examples, type Finish, serverOptions, wholeNumber } from "./common.ts";

/** The filter flags need Hubble's messages: they are loaded only where this command is called. */
export interface ObserveFlags {
  newBuilder(): FilterBuilder;
  add(command: Command, builder: FilterBuilder): void;
}

const formats = ["compact", "dict", "json", "jsonpb", "tab", "table"];
const timeFormats = [
  "StampMilli",
  "YearMonthDay",
  "YearMonthDayHour",
  "YearMonthDayHourMinute",
  "RFC3339",
  "RFC3339Milli",
  "RFC3339Micro",
  "RFC3339Nano",
  "RFC1123Z",
];

function selectionOptions(command: Command): void {
  command
    .optionsGroup("Which flows:")
    .option("-f, --follow", "keep printing what comes")
    .option("--last <n>", "the last N that match; 20 where nothing else is said", wholeNumber)
    .option("--first <n>", "the first N that match", wholeNumber)
    .option("--all", "all that the ring holds")
    .option("--since <time>", "from this time on: 5m, 1h30m, 2026-03-02T01:01:07Z")
    .option("--until <time>", "up to this time")
    .option("--input-file <file>", "read flows as JSON lines from a file (- for stdin) instead of from the agent");
}

function outputOptions(command: Command): void {
  command
    .optionsGroup("Output:")
    .addOption(new Option("-o, --output <format>", "format").choices(formats).default("compact"))
    .addOption(new Option("--color <when>", "colour").choices(["auto", "always", "never"]).default("auto"))
    .addOption(new Option("--time-format <format>", "format of times").choices(timeFormats).default("StampMilli"))
    .option("--numeric", "addresses instead of names")
    .addOption(
      new Option("--ip-translation <yes>", "false: the same as --numeric").choices(["true", "false"]).hideHelp(),
    )
    .addOption(new Option("-j, --json", "the same as --output json").implies({ output: "json" }).hideHelp())
    .option("-s, --silent-errors", "say nothing of lost events and nodes that do not answer")
    .option("--print-node-name", "show the node")
    .option("--print-policy-names", "show the policies behind a policy verdict")
    .option("--field-mask <paths>", "only these fields of a flow (json): source.pod_name,verdict")
    .addOption(new Option("--experimental-field-mask <paths>", "the same as --field-mask").hideHelp())
    .option("--print-raw-filters", "print the filters instead of flows");
}

export function defineObserve(program: Command, finish: Finish, flags: ObserveFlags | null): void {
  const observe = program
    .command("observe")
    .summary("show flows")
    .description("Shows flows: the last 20, or with -f what comes. Flags and formats are those of `hubble observe`.")
    .argument("[what]", "flows, agent-events or debug-events", "flows");
  agentOption(observe);
  const builder = flags?.newBuilder();
  if (!flags || !builder) return;
  selectionOptions(observe);
  outputOptions(observe);
  flags.add(observe, builder);
  serverOptions(observe);
  observe.action((what: string, options: Omit<ObserveOptions, "what">) =>
    finish(async () => (await import("../commands/observe.ts")).observe({ ...options, what }, builder)),
  );
  examples(observe, [
    "skep observe -f",
    "skep observe -f --verdict DROPPED --to-pod deathstar",
    "skep observe --since 5m --from-label org=empire -o json",
    "skep observe --last 100 --protocol tcp --not --port 80",
    "skep observe --input-file flows.jsonl -o table",
    "skep observe --server tls://hubble-relay:443 --tls-ca-cert-file ca.crt -f",
  ]);
}

export function defineWhy(program: Command, finish: Finish, flags: ObserveFlags | null): void {
  const why = program
    .command("why")
    .summary("explain a flow: the rule behind it, or the nearest miss")
    .description(
      "Explains a flow with the policies that are in force: the rules that decided, and on default deny the nearest rule that\n" +
        "would have allowed it, and by what it misses. Without a uuid: the last drop, or the last flow that the filters match.",
    )
    .argument("[uuid]", "of the flow, as `skep observe -o json` prints it", "");
  agentOption(why);
  const builder = flags?.newBuilder();
  if (!flags || !builder) return;
  why.option("--input-file <file>", "look for the flow in a file of JSON lines (- for stdin)");
  flags.add(why, builder);
  why.action((uuid: string, options: Omit<WhyOptions, "uuid">) =>
    finish(async () => (await import("../commands/why.ts")).why({ ...options, uuid }, builder)),
  );
  examples(why, ["skep why", "skep why --from-pod xwing --to-pod deathstar", "skep why 0c6f1a2b-...-4d5e"]);
}

const endpoints = (text: string, before: readonly number[] | undefined): number[] => [
  ...(before ?? []),
  ...text.split(",").map((each) => wholeNumber(each.trim())),
];
const types = (text: string, before: readonly string[] | undefined): string[] => [
  ...(before ?? []),
  ...text.split(",").map((each) => each.trim()),
];

export function defineMonitor(program: Command, finish: Finish): void {
  const monitor = program
    .command("monitor")
    .summary("the datapath's messages as they come")
    .description(
      "Prints what the datapath reports, a line each, as `cilium-dbg monitor` does: numbers instead of names.",
    );
  agentOption(monitor)
    .option("-t, --type <types>", "drop, trace, policy-verdict, agent...; several by comma or again", types)
    .option("--from <endpoints>", "only from these endpoints (numbers)", endpoints)
    .option("--to <endpoints>", "only to these endpoints", endpoints)
    .option("--related-to <endpoints>", "only from or to these endpoints", endpoints)
    .option("-j, --json", "a JSON object a line")
    .option("-n, --numeric", "reserved identities as numbers too");
  serverOptions(monitor);
  monitor.action((options: MonitorCommand) =>
    finish(async () => (await import("../commands/monitor.ts")).monitor(options)),
  );
  examples(monitor, ["skep monitor", "skep monitor -t drop", "skep monitor --related-to 3 -t trace,policy-verdict"]);
}
