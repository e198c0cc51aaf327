/** Exit statuses: 0 done, 1 failed, 2 wrong use or not possible here. */
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** What ends a command with one clear line on stderr. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT_FAILED, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The command was called wrongly. */
export function usageError(message: string, options?: ErrorOptions): CliError {
  return new CliError(message, EXIT_USAGE, options);
}

/** The first `code` in an error and its causes, as in ENOENT. */
export function systemCode(error: unknown): string | null {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    const { code } = each as NodeJS.ErrnoException;
    if (typeof code === "string") return code;
  }
  return null;
}
