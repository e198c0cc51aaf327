import { InconclusiveError, MissingCapabilityError, NotSupportedError, VerifierError } from "@skep/linux";
import { CliError, EXIT_FAILED, EXIT_USAGE } from "../errors.ts";
import { write } from "../output/print.ts";
import { type Printing, Session } from "./session.ts";
import { toJson } from "./tree.ts";
import type { Run } from "./verb.ts";

/** What cannot be done here whatever the words: no privilege, or not this kernel. */
function isImpossible(error: unknown): boolean {
  return (
    error instanceof MissingCapabilityError || error instanceof NotSupportedError || error instanceof InconclusiveError
  );
}

/** Lines of the verifier's log that are shown. */
const TAIL = 12;

/** The sentence, the source line and the registers; then the log's end. */
function refusal(error: VerifierError): string {
  const lines = error.log.trimEnd().split("\n");
  const hidden = Math.max(0, lines.length - TAIL);
  const more = hidden === 0 ? [] : [`(${hidden} lines before; \`log FILE\` keeps them)`];
  return [error.detail(), "the verifier's log:", ...more, ...lines.slice(hidden)].join("\n");
}

function asCliError(error: unknown): unknown {
  if (error instanceof CliError || !(error instanceof Error)) return error;
  if (error instanceof VerifierError) return new CliError(refusal(error), EXIT_FAILED, { cause: error });
  if (isImpossible(error)) return new CliError(error.message, EXIT_USAGE, { cause: error });
  return error;
}

/** Runs a verb and closes what it opened. With bpftool's `-j` errors are JSON on the standard output, too. */
export async function runVerb(run: Run, words: readonly string[], printing: Printing): Promise<number | void> {
  const session = new Session(words, printing);
  try {
    return await run(session);
  } catch (thrown) {
    const error = asCliError(thrown);
    if ((printing.json === true || printing.pretty === true) && error instanceof Error) {
      await write(`${toJson({ error: error.message }, printing.pretty === true ? 2 : 0)}\n`);
      return error instanceof CliError ? error.exitCode : 1;
    }
    throw error;
  } finally {
    session.close();
  }
}
