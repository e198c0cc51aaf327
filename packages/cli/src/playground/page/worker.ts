/**
 * @module
 * The worker: it compiles, verifies and runs, so that the page itself never waits.
 */
import type { ObjectSpec } from "@skep/object";
import { runOnHost } from "./host.ts";
import { compileText, listing, verifyAll } from "./program.ts";
import { runAlone } from "./run.ts";
import type { Answers, CompileAnswer, Question, Reply } from "./work.ts";

/** As much of a worker's scope as this one uses. */
interface WorkerScope {
  postMessage(reply: Reply, transferred: readonly never[]): void;
  onmessage: ((event: { readonly data: { readonly id: number; readonly question: Question } }) => void) | null;
}

/** What was compiled last. */
let spec: ObjectSpec | null = null;

function compiled(text: string): CompileAnswer {
  const result = compileText(text);
  ({ spec } = result);
  return {
    problems: result.problems,
    compiled: spec && {
      programs: Object.values(spec.programs).map(({ name, type }) => ({ name, type })),
      listing: listing(spec),
    },
  };
}

function known(): ObjectSpec {
  if (spec === null) throw new Error("nothing is compiled");
  return spec;
}

async function answer(question: Question): Promise<Answers[keyof Answers]> {
  if (question.step === "compile") return compiled(question.text);
  if (question.step === "verify") return verifyAll(known());
  return question.place === "host" ? runOnHost(known(), question) : runAlone(known(), question);
}

/** Nothing is moved: answers are copied. */
const NOTHING: readonly never[] = [];
const scope = globalThis as unknown as WorkerScope;
scope.onmessage = ({ data: { id, question } }) => {
  answer(question).then(
    (given) => scope.postMessage({ id, answer: given }, NOTHING),
    (error: unknown) =>
      scope.postMessage({ id, failure: error instanceof Error ? error.message : String(error) }, NOTHING),
  );
};
