type Runner = (args: readonly string[]) => Promise<number>;

let runner: Runner | null = null;

/** The whole command says how a command line is run: what runs several of them is below it. */
export function setRunner(run: Runner): void {
  runner = run;
}

/** Runs a command line in this process; the exit status. */
export function runCommand(args: readonly string[]): Promise<number> {
  if (runner === null) throw new Error("there is no command to run it");
  return runner(args);
}
