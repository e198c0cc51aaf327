import type { Command } from "commander";
import { btf } from "../kernel/nouns/btf.ts";
import { feature } from "../kernel/nouns/feature.ts";
import { link } from "../kernel/nouns/link.ts";
import { map } from "../kernel/nouns/map.ts";
import { batch, cgroup, gen, iter, perf, structOps, token } from "../kernel/nouns/more.ts";
import { net } from "../kernel/nouns/net.ts";
import { prog } from "../kernel/nouns/prog.ts";
import { defineNoun, type Noun } from "../kernel/verb.ts";
import type { Finish } from "./common.ts";

/** The nouns of bpftool, in the order of the help. */
export const kernelNouns: readonly Noun[] = [
  prog,
  map,
  link,
  btf,
  net,
  cgroup,
  perf,
  structOps,
  iter,
  gen,
  feature,
  token,
  batch,
];

export function defineKernel(program: Command, finish: Finish): void {
  for (const noun of kernelNouns) defineNoun(program, noun, finish);
}

const names = new Set(kernelNouns.flatMap(({ name, aliases = [] }) => [name, ...aliases]));
const bpftoolFlags = new Set(["-j", "--json", "-p", "--pretty", "-f", "--bpffs", "-jp", "-pj"]);
/** What bpftool takes and Skep does as it is: debug output, mounting of its own. */
const ignored = new Set([
  "-n",
  "--nomount",
  "-d",
  "--debug",
  "-m",
  "--mapcompat",
  "-l",
  "--legacy",
  "-L",
  "--use-loader",
]);

/** bpftool's options stand before the noun: they are moved behind the words, where Skep's stand. */
export function bpftoolOrder(args: readonly string[]): readonly string[] {
  let at = 0;
  while (bpftoolFlags.has(args[at] ?? "") || ignored.has(args[at] ?? "")) at++;
  if (at === 0 || !names.has(args[at] ?? "")) return args;
  const flags = args.slice(0, at).filter((each) => !ignored.has(each));
  return [...args.slice(at), ...flags];
}
