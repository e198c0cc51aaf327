/**
 * @module
 * How the nouns of bpftool become commands: each verb takes words, and prints what its session is told.
 */
import { type Command, Option } from "commander";
import { examples, type Finish } from "../define/common.ts";
import { listFormats } from "../output/print.ts";
import type { Printing, Session } from "./session.ts";

export type Run = (session: Session) => Promise<number | void> | number | void;

export interface Verb {
  readonly name: string;
  readonly aliases?: readonly string[];
  /** What stands after the name. */
  readonly usage: string;
  readonly summary: string;
  readonly description: string;
  readonly examples: readonly string[];
  /** Keywords, for completion. */
  readonly words?: readonly string[];
  /** What the noun does without a verb. */
  readonly isDefault?: true;
  /** Loaded when it is called. */
  readonly load: () => Promise<Run>;
}

export interface Noun {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly verbs: readonly Verb[];
}

const keywords = new WeakMap<Command, readonly string[]>();

/** Keywords that may stand among the arguments of a command. */
export function keywordsOf(command: Command): readonly string[] {
  return keywords.get(command) ?? [];
}

function printingOptions(command: Command): Command {
  return command
    .addOption(new Option("-o, --output <format>", "how to print it").choices(listFormats).default("table"))
    .option("-j, --json", "JSON in one line, as bpftool writes it")
    .option("-p, --pretty", "JSON in several lines");
}

function defineVerb(noun: Command, verb: Verb, finish: Finish): void {
  const command = printingOptions(noun.command(verb.name, verb.isDefault ? { isDefault: true } : {}))
    .aliases([...(verb.aliases ?? [])])
    .summary(verb.summary)
    .description(verb.description)
    .argument("[words...]")
    .usage(`[options] ${verb.usage}`.trimEnd())
    .action((words: string[], printing: Printing) =>
      finish(async () => {
        const [run, { runVerb }] = await Promise.all([verb.load(), import("./run.ts")]);
        return runVerb(run, words, printing);
      }),
    );
  if (verb.isDefault) command.option("-f, --bpffs", "also where each is pinned");
  keywords.set(command, verb.words ?? []);
  examples(command, verb.examples);
}

export function defineNoun(program: Command, noun: Noun, finish: Finish): void {
  const command = program
    .command(noun.name)
    .aliases([...(noun.aliases ?? [])])
    .summary(noun.summary)
    .description(noun.description);
  for (const verb of noun.verbs) defineVerb(command, verb, finish);
}
