import { type Command, Option } from "commander";
import type { ExportOptions, FlowsOptions, QueryOptions } from "../commands/flows.ts";
import { agentOption, examples, type Finish, wholeNumber } from "./common.ts";

const FOLDER = "the history of a folder that no agent uses, instead of the agent's";

export function defineFlows(program: Command, finish: Finish): void {
  const flows = program
    .command("flows")
    .summary("the history of flows on disk")
    .description(
      "The history that `skep up --flow-history DIR` keeps. Of the last flows in memory, and of both together, tells `skep observe`.",
    );
  const query = agentOption(flows.command("query").argument("<sql>", "SELECT ... FROM flows, or losses"))
    .summary("read it with SQL")
    .description(
      "Asks the history with DuckDB's SQL: the tables are flows and losses (DESCRIBE flows). It is only read.",
    )
    .option("--history <dir>", FOLDER)
    .option("--max-rows <n>", "print at most so many", wholeNumber, 10_000)
    .addOption(new Option("-o, --output <format>", "format").choices(["table", "json", "csv"]).default("table"))
    .action((sql: string, options: QueryOptions) =>
      finish(async () => (await import("../commands/flows.ts")).flowsQuery(sql, options)),
    );
  examples(query, [
    "skep flows query \"SELECT destination_pod, count(*) AS drops FROM flows WHERE verdict = 'DROPPED' GROUP BY ALL ORDER BY drops DESC\"",
    "skep flows query 'SELECT timestamp, source_pod, destination_ip FROM flows ORDER BY time DESC LIMIT 20' -o csv",
    "skep flows query 'FROM losses' -o json",
  ]);
  const status = agentOption(flows.command("status"))
    .summary("what is kept, and what was lost")
    .option("--history <dir>", FOLDER)
    .action((options: FlowsOptions) => finish(async () => (await import("../commands/flows.ts")).flowsStatus(options)));
  examples(status, ["skep flows status"]);
  const dump = agentOption(flows.command("export"))
    .summary("print flows as Hubble's JSON lines")
    .option("--since <time>", "from this time on; default all")
    .option("--until <time>", "up to this time")
    .option("--history <dir>", FOLDER)
    .action((options: ExportOptions) =>
      finish(async () => (await import("../commands/flows.ts")).flowsExport(options)),
    );
  examples(dump, ["skep flows export --since 24h > flows.jsonl"]);
  const load = flows
    .command("import")
    .argument("<file>", "JSON lines of `hubble observe -o json` or of an exporter; - for stdin")
    .summary("write Hubble's JSON lines into a folder's history")
    .requiredOption("--history <dir>", "the folder; no agent may use it")
    .action((file: string, options: { history: string }) =>
      finish(async () => (await import("../commands/flows.ts")).flowsImport(file, options)),
    );
  examples(load, ["skep flows import flows.jsonl --history ./flows"]);
}
