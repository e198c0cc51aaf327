/**
 * @module
 * What the page asks of its worker, and what it is told, as plain data.
 */
import type { CapturedPacket } from "@skep/net";
import type { Verification } from "@skep/verifier";
import type { EngineName } from "@skep/vm";
import type { Problem } from "./program.ts";
import type { Outcome } from "./run.ts";

/** What the text of the editor is called. */
export const FILE = "program.bpf.ts";

/** Each step does those before it: a text is compiled, its programs are verified, one of them is run. */
export type Question =
  | { readonly step: "compile"; readonly text: string }
  | { readonly step: "verify" }
  | {
      readonly step: "run";
      readonly program: string;
      readonly packets: readonly CapturedPacket[];
      readonly engine: EngineName;
      readonly place: "alone" | "host";
    };

export interface CompileAnswer {
  readonly problems: readonly Problem[];
  /** Null where it does not compile. */
  readonly compiled: {
    readonly programs: readonly { readonly name: string; readonly type: string }[];
    readonly listing: string;
  } | null;
}

export interface Answers {
  readonly compile: CompileAnswer;
  readonly verify: readonly Verification[];
  readonly run: Outcome;
}

export type AnswerTo<Q extends Question> = Answers[Q["step"]];

export type Reply =
  { readonly id: number; readonly answer: Answers[keyof Answers] } | { readonly id: number; readonly failure: string };
