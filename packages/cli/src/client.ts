import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import net from "node:net";
import { join } from "node:path";
import { observer, skep } from "@skep/api";
import { CliError, EXIT_FAILED, systemCode } from "./errors.ts";

export interface AgentClient {
  readonly agent: Client<typeof skep.Agent>;
  readonly observer: Client<typeof observer.Observer>;
  readonly socket: string;
  close(): void;
}

/** The agent's socket below its run folder. */
export function socketPath(run: string): string {
  return join(run, "skep.sock");
}

export function connect(run: string): AgentClient {
  const socket = socketPath(run);
  const sessionManager = new Http2SessionManager("http://skep", undefined, {
    createConnection: () => net.connect(socket),
  });
  const transport = createGrpcTransport({ baseUrl: "http://skep", sessionManager });
  return {
    agent: createClient(skep.Agent, transport),
    observer: createClient(observer.Observer, transport),
    socket,
    close: () => sessionManager.abort(),
  };
}

/** One line for what a call threw: where there is no agent, how to start one. */
export function callError(error: unknown, socket: string): Error {
  if (error instanceof CliError) return error;
  switch (systemCode(error)) {
    case "ENOENT":
    case "ECONNREFUSED":
      return new CliError(`no agent at ${socket}: start one with \`skep up DIR\``, EXIT_FAILED, { cause: error });
    case "EACCES":
    case "EPERM":
      return new CliError(`${socket} belongs to another user: run this as the agent's user (sudo)`, EXIT_FAILED, {
        cause: error,
      });
  }
  if (!(error instanceof ConnectError)) return error instanceof Error ? error : new Error(String(error));
  if (error.code === Code.Unavailable || error.code === Code.Aborted) {
    return new CliError(`the agent at ${socket} went away: ${error.rawMessage}`, EXIT_FAILED, { cause: error });
  }
  return new CliError(error.rawMessage, EXIT_FAILED, { cause: error });
}

/** Runs `use` with a client, and closes it. */
export async function withClient<T>(run: string, use: (client: AgentClient) => Promise<T>): Promise<T> {
  const client = connect(run);
  try {
    return await use(client);
  } catch (error) {
    throw callError(error, client.socket);
  } finally {
    client.close();
  }
}
