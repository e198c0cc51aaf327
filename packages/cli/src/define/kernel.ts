import type { Command } from "commander";
import { link } from "../kernel/nouns/link.ts";
import { map } from "../kernel/nouns/map.ts";
import { prog } from "../kernel/nouns/prog.ts";
import { defineNoun, type Noun } from "../kernel/verb.ts";
import type { Finish } from "./common.ts";

/** The nouns of bpftool, in the order of the help. */
export const kernelNouns: readonly Noun[] = [prog, map, link];

export function defineKernel(program: Command, finish: Finish): void {
  for (const noun of kernelNouns) defineNoun(program, noun, finish);
}
