/**
 * @module
 * How the nouns of bpftool become commands: each verb takes words, and prints what its session is told.
 */
import { type Command, Option } from "commander";
import { examples, type Finish } from "../define/common.ts";
import { usageError } from "../errors.ts";
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

/** A line's end within a sentence is the source's, not the reader's. */
function paragraphs(text: string): string {
  return text.replaceAll(/([^.:])\n/g, "$1 ");
}

/** A word after the noun that is neither a verb nor what the default verb takes. */
function checkVerb(noun: Noun, verb: Verb, words: readonly string[]): void {
  const [first] = words;
  if (first === undefined || (verb.words ?? []).includes(first) || first.includes("/")) return;
  const verbs = noun.verbs.map(({ name }) => name).join(", ");
  throw usageError(`"${first}" is no verb of skep ${noun.name}: ${verbs}`);
}

function defineVerb(noun: Command, { noun: of, verb }: { noun: Noun; verb: Verb }, finish: Finish): void {
  const command = printingOptions(noun.command(verb.name, verb.isDefault ? { isDefault: true } : {}))
    .aliases([...(verb.aliases ?? [])])
    .summary(verb.summary)
    .description(paragraphs(verb.description))
    .argument("[words...]")
    .usage(`[options] ${verb.usage}`.trimEnd())
    .action((words: string[], printing: Printing) =>
      finish(async () => {
        const isNamed = [verb.name, ...(verb.aliases ?? [])].includes(noun.args[0] ?? "");
        if (verb.isDefault && !isNamed) checkVerb(of, verb, words);
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
  // Its verbs by name: what each takes is in its own help.
  command.configureHelp({
    ...command.configureHelp(),
    subcommandTerm: (verb) => [verb.name(), ...verb.aliases()].join("|"),
  });
  for (const verb of noun.verbs) defineVerb(command, { noun, verb }, finish);
}
