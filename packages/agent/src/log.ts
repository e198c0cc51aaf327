/** Structured log: one line per record, JSON unless a person watches. Secrets have no business here. */
export interface Logger {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Lines so far. */
  readonly counts?: Readonly<Record<"warning" | "error", number>>;
}

export type LogFields = Readonly<Record<string, string | number | bigint | boolean | null>>;

export interface LoggerOptions {
  readonly write: (line: string) => void;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly format: "json" | "text";
}

export function createLogger(options: LoggerOptions): Logger {
  const log = (level: string, message: string, fields: LogFields = {}): void => {
    const time = new Date(options.now()).toISOString();
    options.write(
      options.format === "json"
        ? jsonLine({ time, level, message, ...fields })
        : textLine({ time, level, message, fields }),
    );
  };
  const counts = { warning: 0, error: 0 };
  return {
    info: (message, fields) => log("info", message, fields),
    warn: (message, fields) => {
      counts.warning += 1;
      log("warn", message, fields);
    },
    error: (message, fields) => {
      counts.error += 1;
      log("error", message, fields);
    },
    counts,
  };
}

function jsonLine(record: LogFields): string {
  return `${JSON.stringify(record, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value))}\n`;
}

function textLine(record: { time: string; level: string; message: string; fields: LogFields }): string {
  const fields = Object.entries(record.fields).map(([key, value]) => ` ${key}=${String(value)}`);
  return `${record.time} ${record.level.padEnd(5)} ${record.message}${fields.join("")}\n`;
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
