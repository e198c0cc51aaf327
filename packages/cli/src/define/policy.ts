import { type Command, Option } from "commander";
import type * as Policy from "../commands/policy.ts";
import { agentOption, collect, examples, type Finish } from "./common.ts";

const handlers = (): Promise<typeof Policy> => import("../commands/policy.ts");

function fileOption(command: Command, help: string): Command {
  return command.option("-f, --file <path>", help, collect);
}

function flowOptions(command: Command): Command {
  return agentOption(command).option("--flows <file>", "flows as JSON lines (- for stdin); default the agent's ring");
}

function defineCheck(policy: Command, finish: Finish): void {
  const command = policy
    .command("check")
    .summary("validate policies")
    .description(
      "Validates policies in files and folders: what is wrong with file, line, column and a caret, and what is likely a mistake\n" +
        "among the workloads that stand beside them.",
    )
    .argument("<path...>", "files and folders")
    .option("--strict", "warnings end with status 1 too")
    .action((paths: string[], options: Omit<Policy.CheckOptions, "paths">) =>
      finish(async () => (await handlers()).check({ ...options, paths })),
    );
  examples(command, ["skep policy check ./policies"]);
}

function defineTrace(policy: Command, finish: Finish): void {
  const command = fileOption(
    agentOption(policy.command("trace")),
    "policies and pods of these files or folders; default what the agent enforces",
  )
    .summary("ask who reaches whom, and why")
    .description(
      "Asks every rule about a connection: the verdict of both ends, the rules that decide with file and line, and for a denial the\n" +
        "nearest rule that would allow it. Exit status 0 where it is allowed, 1 where it is denied.",
    )
    .requiredOption("--src <end>", "workload, labels (app=web,tier=front), entity or address")
    .requiredOption("--dst <end>", "the same, or a DNS name")
    .requiredOption("--dport <port>", "80/TCP, 53/UDP, ICMP/8")
    .option("--http <request>", 'a request: "GET /path [host]"')
    .option("--dns <name>", "a DNS query")
    .option("--all", "rules of other subjects too")
    .action((options: Policy.TraceOptions) => finish(async () => (await handlers()).trace(options)));
  examples(command, [
    "skep policy trace --src xwing --dst deathstar --dport 80/TCP",
    "skep policy trace -f ./policies --src org=alliance --dst class=deathstar --dport 80",
  ]);
}

function defineTest(policy: Command, finish: Finish): void {
  const command = policy
    .command("test")
    .summary("test policies against what is expected of them")
    .description(
      "Runs expectation files (kind PolicyTest): from, to, port, verdict, and by which rule. Needs no agent and no root.",
    )
    .argument("<path...>", "files and folders with expectations")
    .addOption(new Option("-o, --output <format>", "format").choices(["text", "tap", "junit"]).default("text"))
    .option("--watch", "run again at every change")
    .action((paths: string[], options: Omit<Policy.TestOptions, "paths">) =>
      finish(async () => (await handlers()).test({ ...options, paths })),
    );
  examples(command, ["skep policy test ./policies", "skep policy test ./policies -o junit > results.xml"]);
}

function defineDiff(policy: Command, finish: Finish): void {
  const command = policy
    .command("diff")
    .summary("connections that two sets of policies judge differently")
    .description("Lists every connection between known workloads, entities and networks whose verdict differs.")
    .argument("<before>", "file or folder")
    .argument("<after>", "file or folder")
    .option("--workloads <path>", "pods, deployments and namespaces; default those beside the policies", collect)
    .option("--exit-code", "end with status 1 where there is a difference")
    .action((before: string, after: string, options: Omit<Policy.DiffOptions, "before" | "after">) =>
      finish(async () => (await handlers()).diff({ ...options, before, after })),
    );
  examples(command, ["skep policy diff ./policies ./policies.new --workloads ./pods"]);
}

function defineSimulate(policy: Command, finish: Finish): void {
  const command = flowOptions(policy.command("simulate"))
    .summary("what other policies would do to recorded flows")
    .description("Replays recorded flows against other policies: which change their verdict, and by which rule.")
    .requiredOption("-f, --file <path>", "the policies to try: files or folders", collect)
    .option("--before <path>", "compare with these policies instead of what was recorded", collect)
    .option("--exit-code", "end with status 1 where a flow changes its verdict")
    .action((options: Policy.SimulateOptions) => finish(async () => (await handlers()).simulate(options)));
  examples(command, [
    "skep policy simulate -f new.yaml",
    "skep observe --all -o json > flows.jsonl; skep policy simulate -f new.yaml --flows flows.jsonl",
  ]);
}

function defineSuggest(policy: Command, finish: Finish): void {
  const command = flowOptions(policy.command("suggest"))
    .summary("policies that allow what was recorded, and nothing else")
    .description(
      "Suggests readable policies for recorded flows, by labels. YAML goes to stdout; the proof by replay to stderr.",
    )
    .option("--dropped", "allow what was dropped too")
    .option("--no-http", "ports only, no rules of HTTP")
    .option("--names", "DNS names instead of the whole world")
    .action((options: Policy.SuggestOptions) => finish(async () => (await handlers()).suggest(options)));
  examples(command, ["skep policy suggest > suggested.yaml", "skep policy suggest --flows flows.jsonl"]);
}

/** Commands that ask the policy engine, beside those that ask the agent. */
export function definePolicyTools(policy: Command, finish: Finish): void {
  defineCheck(policy, finish);
  defineTrace(policy, finish);
  defineTest(policy, finish);
  defineDiff(policy, finish);
  defineSimulate(policy, finish);
  defineSuggest(policy, finish);
}
