import { spawn } from "node:child_process";

export interface Finished {
  /** The exit status, or the signal that ended it. */
  readonly status: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end; after `seconds` it is killed. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string; readonly seconds?: number } = {},
): Promise<Finished> {
  const { cwd, seconds = 600 } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    const timer = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
    let [stdout, stderr] = ["", ""];
    child.stdout.on("data", (text: Buffer) => (stdout += text.toString("latin1")));
    child.stderr.on("data", (text: Buffer) => (stderr += text.toString("latin1")));
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ status: signal ?? code ?? "", stdout, stderr });
    });
  });
}

/** As `run`. Throws where the command fails. */
export async function output(command: string, args: readonly string[], cwd?: string): Promise<string> {
  const { status, stdout, stderr } = await run(command, args, cwd === undefined ? {} : { cwd });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}: ${stderr.slice(-2000)}`);
  return stdout;
}

/** Handles every item, a few at a time; gives what came of them in their order. */
export async function inParallel<T, R>(
  items: readonly T[],
  many: number,
  handle: (item: T) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < items.length; at = next++) results[at] = await handle(items[at] as T);
  };
  await Promise.all(Array.from({ length: many }, worker));
  return results;
}
