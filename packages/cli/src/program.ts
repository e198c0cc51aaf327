import { Command, CommanderError } from "commander";
import { CliError, EXIT_FAILED, EXIT_USAGE } from "./errors.ts";
import { defineDemo, defineDown, defineRun, defineUp } from "./define/agent.ts";
import type { Finish } from "./define/common.ts";
import { bpftoolOrder, defineKernel } from "./define/kernel.ts";
import { defineFlows } from "./define/flows.ts";
import { defineMonitor, defineObserve, defineWhy, type ObserveFlags } from "./define/observe.ts";
import { definePlayground } from "./define/playground.ts";
import { definePolicyTools } from "./define/policy.ts";
import { defineConfig, defineFqdn, defineListOf, defineLists, definePolicy, defineStatus } from "./define/state.ts";
import {
  defineCompile,
  defineCompletion,
  defineConnectivity,
  defineDoctor,
  defineDrops,
  defineRelay,
  defineVersion,
} from "./define/tools.ts";
import { defineTables } from "./define/tables.ts";
import { defineUi } from "./define/ui.ts";
import { defineTrace } from "./define/trace.ts";
import { defineVm } from "./define/vm.ts";
import { setRunner } from "./kernel/runner.ts";
import { defineVerify } from "./define/verify.ts";
import { VERSION } from "./version.ts";

/** The whole command; `finish` gets what each one does. Handlers are loaded when they are called, so that help is fast. */
export function buildProgram(finish: Finish, observeFlags: ObserveFlags | null): Command {
  const program = new Command("skep")
    .description("eBPF for TypeScript, and identity-based networking, security and visibility on it.")
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help of a command")
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 120) })
    .showHelpAfterError("(add --help for what there is)")
    .enablePositionalOptions();
  program.commandsGroup("Agent:");
  defineUp(program, finish);
  defineDown(program, finish);
  defineRun(program, finish);
  program.commandsGroup("What it does:");
  defineStatus(program, finish);
  defineLists(program, finish);
  defineFqdn(program, finish);
  defineConfig(program, finish);
  definePolicyTools(definePolicy(program, finish), finish);
  defineObserve(program, finish, observeFlags);
  defineWhy(program, finish, observeFlags);
  defineTrace(program, finish);
  defineMonitor(program, finish);
  defineFlows(program, finish);
  defineListOf(program, finish);
  defineUi(program, finish);
  defineRelay(program, finish);
  program.commandsGroup("In the kernel:");
  defineTables(program, finish);
  defineKernel(program, finish);
  program.commandsGroup("Tools:");
  defineDoctor(program, finish);
  defineCompile(program, finish);
  defineVerify(program, finish);
  defineVm(program, finish);
  definePlayground(program, finish);
  defineDrops(program, finish);
  defineDemo(program, finish);
  defineConnectivity(program, finish);
  defineCompletion(program, finish);
  defineVersion(program, finish);
  return program.addHelpText(
    "after",
    "\nExamples:\n  skep demo                                    see it work\n  skep up /etc/skep                            start the agent on a folder of YAML\n  skep run --name a --label app=a -- bash      a workload\n  skep observe -f --verdict DROPPED            what is dropped, as it happens",
  );
}

/** Errors of the parser end with status 2, as wrong use; commander has said what was wrong. */
function overrideExit(command: Command): void {
  command.exitOverride();
  command.commands.forEach(overrideExit);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof CliError) {
    process.stderr.write(`skep: ${error.message}\n`);
    return error.exitCode;
  }
  const text = error instanceof Error ? error.message : String(error);
  process.stderr.write(`skep: ${text}\n`);
  if (process.env["SKEP_DEBUG"] !== undefined && error instanceof Error) process.stderr.write(`${error.stack ?? ""}\n`);
  return EXIT_FAILED;
}

const FILTERING = ["observe", "why"];

/** Filter flags, for the commands that show or take them. */
async function observeFlagsFor(args: readonly string[]): Promise<ObserveFlags | null> {
  const [name, next] = args.filter((arg) => !arg.startsWith("-"));
  const asked = name === "help" ? next : name;
  if (asked !== "completion" && !FILTERING.includes(asked ?? "")) return null;
  const [{ FilterBuilder }, { addFilterFlags }] = await Promise.all([
    import("./observe/filters.ts"),
    import("./observe/flags.ts"),
  ]);
  return { newBuilder: () => new FilterBuilder(), add: addFilterFlags };
}

/** Runs a command line (without node and script) and gives the exit status. */
export async function main(given: readonly string[]): Promise<number> {
  const args = bpftoolOrder(given);
  setRunner(main);
  let status = 0;
  const finish: Finish = async (run) => {
    status = (await run()) ?? 0;
  };
  const program = buildProgram(finish, await observeFlagsFor(args));
  overrideExit(program);
  try {
    await program.parseAsync([...args], { from: "user" });
    return status;
  } catch (error) {
    return report(error);
  }
}
