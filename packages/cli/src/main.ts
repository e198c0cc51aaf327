/**
 * @module
 * The command `skep`.
 */
import { main } from "./program.ts";

// A reader that goes away (`skep observe | head`) ends the command, and is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  process.stderr.write(`skep: the output cannot be written: ${error.code ?? error.message}\n`);
  process.exit(1);
});

process.exitCode = await main(process.argv.slice(2));
