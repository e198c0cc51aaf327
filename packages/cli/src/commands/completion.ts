/**
 * @module
 * Completion scripts, made from the commands as they are defined: they need no call of skep while typing.
 */
import type { Command, Option } from "commander";
import { usageError } from "../errors.ts";
import { keywordsOf } from "../kernel/verb.ts";
import { write } from "../output/print.ts";

interface Place {
  /** As in `policy get`; "" is the root. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly aliases: readonly string[]; readonly help: string }[];
  /** Words that may stand among the arguments. */
  readonly keywords: readonly string[];
  readonly options: readonly {
    readonly name: string;
    readonly help: string;
    readonly values: readonly string[] | null;
  }[];
}

function optionNames(option: Option): string[] {
  return [option.short, option.long].filter((name) => name !== undefined);
}

/** `values` null: a switch. Empty: anything. */
function valuesOf(option: Option): readonly string[] | null {
  return option.required || option.optional ? (option.argChoices ?? []) : null;
}

function places(command: Command, path: string): Place[] {
  const visible = command.options.filter((option) => !option.hidden);
  const here: Place = {
    path,
    commands: command.commands.map((each) => ({ name: each.name(), aliases: each.aliases(), help: each.summary() })),
    keywords: keywordsOf(command),
    options: [
      ...visible.flatMap((option) =>
        optionNames(option).map((name) => ({ name, help: option.description, values: valuesOf(option) })),
      ),
      { name: "--help", help: "show help", values: null },
    ],
  };
  const below = command.commands.flatMap((each) =>
    [each.name(), ...each.aliases()].flatMap((name) => places(each, `${path} ${name}`.trim())),
  );
  return [here, ...below];
}

const quote = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

function bash(all: readonly Place[]): string {
  const cases = all.map(
    (place) =>
      `    ${quote(place.path)}) words=${quote([...place.commands.map(({ name }) => name), ...place.keywords, ...place.options.map(({ name }) => name)].join(" "))} ;;`,
  );
  const values = all.flatMap((place) =>
    place.options
      .filter((option) => option.values !== null)
      .map(
        (option) =>
          `    ${quote(`${place.path} ${option.name}`)}) values=${quote(option.values?.join(" ") ?? "")}; taken=1 ;;`,
      ),
  );
  return `# bash completion of skep: eval "$(skep completion bash)"
_skep() {
  local word path='' next words='' values='' taken=''
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="\${path:+$path }$word"
    case "$next" in
      ${all
        .filter(({ path }) => path !== "")
        .map(({ path }) => quote(path))
        .join("|")}) path="$next" ;;
    esac
  done
  case "$path $previous" in
${values.join("\n")}
  esac
  if [ -n "$taken" ]; then
    if [ -n "$values" ]; then COMPREPLY=($(compgen -W "$values" -- "$current"))
    else COMPREPLY=($(compgen -f -- "$current")); fi
    return
  fi
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  if [ \${#COMPREPLY[@]} -eq 0 ]; then COMPREPLY=($(compgen -f -- "$current")); fi
}
complete -F _skep skep
`;
}

const zshText = (text: string): string => text.replace(/[[\]:\\]/g, "\\$&");

/** Keywords and files. */
function zshWords({ keywords }: Place): string {
  if (keywords.length === 0) return "'*:file:_files'";
  return quote(`*:word:{_alternative "words:word:(${keywords.join(" ")})" "files:file:_files"}`);
}

function zsh(all: readonly Place[]): string {
  const functionOf = (path: string): string => `_skep${path === "" ? "" : `_${path.replaceAll(/[ -]/g, "_")}`}`;
  const optionText = (option: Place["options"][number]): string => {
    const value =
      option.values === null ? "" : option.values.length > 0 ? `:value:(${option.values.join(" ")})` : ":value:_files";
    return quote(`*${option.name}[${zshText(option.help)}]${value}`);
  };
  const functions = all.map((place) => {
    const options = place.options.map(optionText).join(" ");
    if (place.commands.length === 0) return `${functionOf(place.path)}() { _arguments ${options} ${zshWords(place)} }`;
    const names = place.commands.map(({ name, help }) => quote(`${name}:${zshText(help)}`)).join(" ");
    const cases = place.commands
      .map(
        ({ name, aliases }) =>
          `      ${[name, ...aliases].join("|")}) ${functionOf(`${place.path} ${name}`.trim())} ;;`,
      )
      .join("\n");
    return `${functionOf(place.path)}() {
  local line state
  local -a commands=(${names})
  _arguments -C ${options} '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe command commands ;;
    argument)
      case $line[1] in
${cases}
      esac ;;
  esac
}`;
  });
  // Read from a folder of fpath it is the function itself; read by eval or source it only says whose completion it is.
  return `#compdef skep\n${functions.join("\n")}\nif [ "$funcstack[1]" = _skep ]; then _skep "$@"; else compdef _skep skep; fi\n`;
}

/** The place that the words lead to, as bash's function finds it; a word that names a command elsewhere leads nowhere. */
const FISH_AT = `function __skep_at
  set -l at ''
  for word in (commandline -opc)[2..-1]
    set -l next (string trim -- "$at $word")
    contains -- $next $__skep_places; and set at $next
  end
  test "$at" = "$argv[1]"
end`;

function fish(all: readonly Place[]): string {
  const lines = all.flatMap((place) => {
    const condition = ` -n ${quote(`__skep_at ${quote(place.path)}`)}`;
    const commands = place.commands.map(
      ({ name, help }) => `complete -c skep -f${condition} -a ${name} -d ${quote(help)}`,
    );
    const options = place.options.map(({ name, help, values }) => {
      const flag = name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`;
      const value = values === null ? "" : values.length > 0 ? ` -x -a ${quote(values.join(" "))}` : " -r";
      return `complete -c skep${condition} ${flag}${value} -d ${quote(help)}`;
    });
    const keywords =
      place.keywords.length === 0 ? [] : [`complete -c skep${condition} -a ${quote(place.keywords.join(" "))}`];
    return [...commands, ...keywords, ...options];
  });
  const known = `set -g __skep_places ${all.flatMap(({ path }) => (path === "" ? [] : [quote(path)])).join(" ")}`;
  return `# fish completion of skep\n${known}\n${FISH_AT}\n${lines.join("\n")}\n`;
}

export function completionScript(program: Command, shell: string): string {
  const all = places(program, "");
  switch (shell) {
    case "bash":
      return bash(all);
    case "zsh":
      return zsh(all);
    case "fish":
      return fish(all);
    default:
      throw usageError(`there is no completion for "${shell}": bash, zsh or fish`);
  }
}

export function printCompletion(program: Command, shell: string): Promise<void> {
  return write(completionScript(program, shell));
}
