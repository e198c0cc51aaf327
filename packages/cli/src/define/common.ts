import { type Command, InvalidArgumentError, Option } from "commander";
import { listFormats } from "../output/print.ts";

export const DEFAULT_RUN = "/run/skep";

/** Handlers give their exit status; nothing means 0. */
export type Finish = (run: () => Promise<number | void>) => Promise<void>;

export interface AgentOption {
  readonly run: string;
}

export function agentOption(command: Command): Command {
  return command.addOption(new Option("--run <dir>", "run folder of the agent").env("SKEP_RUN").default(DEFAULT_RUN));
}

export function listOption(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <format>", "how to print it").choices(listFormats).default("table"),
  );
}

export function examples(command: Command, lines: readonly string[]): Command {
  return command.addHelpText("after", `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}`);
}

/** For an option that may be given several times. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

export function wholeNumber(text: string): number {
  if (!/^\d+$/.test(text)) throw new InvalidArgumentError("not a whole number");
  if (Number(text) > Number.MAX_SAFE_INTEGER) throw new InvalidArgumentError("too large");
  return Number(text);
}

/** TLS towards a server. */
export function tlsOptions(command: Command): Command {
  return command
    .option("--tls", "speak TLS to the server")
    .option("--tls-ca-cert-file <file>", "authority that the server's certificate comes from")
    .option("--tls-client-cert-file <file>", "certificate of this client")
    .option("--tls-client-key-file <file>", "key of this client")
    .option("--tls-server-name <name>", "name that the certificate must have")
    .option("--tls-allow-insecure", "do not check the server's certificate");
}

/** Another server of Hubble's API than the agent's socket. */
export function serverOptions(command: Command): Command {
  const server = new Option("--server <server>", "unix://PATH, HOST:PORT or tls://HOST:PORT").env("HUBBLE_SERVER");
  return tlsOptions(command.optionsGroup("Another server:").addOption(server));
}
