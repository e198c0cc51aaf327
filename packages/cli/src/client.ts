import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import net from "node:net";
import { join } from "node:path";
import { observer, peer, skep } from "@skep/api";
import { readAsked } from "./asked-file.ts";
import { CliError, EXIT_FAILED, systemCode, usageError } from "./errors.ts";

export interface AgentClient {
  readonly agent: Client<typeof skep.Agent>;
  readonly flows: Client<typeof skep.Flows>;
  readonly observer: Client<typeof observer.Observer>;
  readonly peer: Client<typeof peer.Peer>;
  readonly socket: string;
  close(): void;
}

/** The agent's socket below its run folder. */
export function socketPath(run: string): string {
  return join(run, "skep.sock");
}

export function connect(run: string): AgentClient {
  const socket = socketPath(run);
  return clientOf("http://skep", socket, { createConnection: () => net.connect(socket) });
}

type SessionOptions = ConstructorParameters<typeof Http2SessionManager>[2];

function clientOf(baseUrl: string, target: string, options: SessionOptions): AgentClient {
  const sessionManager = new Http2SessionManager(baseUrl, undefined, options);
  const transport = createGrpcTransport({ baseUrl, sessionManager });
  return {
    agent: createClient(skep.Agent, transport),
    flows: createClient(skep.Flows, transport),
    observer: createClient(observer.Observer, transport),
    peer: createClient(peer.Peer, transport),
    socket: target,
    close: () => sessionManager.abort(),
  };
}

/** Where flows come from: the agent of a run folder, or a server of Hubble's API. */
export interface FlowSource {
  readonly run: string;
  readonly server?: string;
  readonly tls?: boolean;
  readonly tlsCaCertFile?: string;
  readonly tlsClientCertFile?: string;
  readonly tlsClientKeyFile?: string;
  readonly tlsServerName?: string;
  readonly tlsAllowInsecure?: boolean;
}

function readCertificate(file: string | undefined): Buffer | undefined {
  return file === undefined ? undefined : readAsked(file);
}

function tlsOptions(source: FlowSource): SessionOptions {
  const ca = readCertificate(source.tlsCaCertFile);
  const cert = readCertificate(source.tlsClientCertFile);
  const key = readCertificate(source.tlsClientKeyFile);
  if ((cert === undefined) !== (key === undefined)) {
    throw usageError("--tls-client-cert-file and --tls-client-key-file go together");
  }
  return {
    ...(ca && { ca }),
    ...(cert && { cert }),
    ...(key && { key }),
    ...(source.tlsServerName !== undefined && { servername: source.tlsServerName }),
    rejectUnauthorized: source.tlsAllowInsecure !== true,
  };
}

const DEFAULT_PORT = 4245;

/** `unix:///run/x.sock`, `host`, `host:4245`, `[fd00::1]:4245`, and `tls://` before one of the latter. */
export function connectServer(server: string, source: FlowSource): AgentClient {
  if (server.startsWith("unix:")) {
    const path = server.replace(/^unix:(\/\/)?/, "");
    return clientOf("http://skep", path, { createConnection: () => net.connect(path) });
  }
  const secure = source.tls === true || server.startsWith("tls://");
  const bare = server.replace(/^(tls|tcp):\/\//, "");
  const address = /:\d+$/.test(bare.replace(/\[[^\]]*\]/, "")) ? bare : `${bare}:${DEFAULT_PORT}`;
  const url = `${secure ? "https" : "http"}://${address}`;
  if (!URL.canParse(url))
    throw usageError(`"${server}" is not a server: write HOST:PORT, tls://HOST:PORT or unix://PATH`);
  return clientOf(url, address, secure ? tlsOptions(source) : {});
}

/** One line for what a call threw: where there is no agent, how to start one. */
export function callError(error: unknown, socket: string): Error {
  if (error instanceof CliError) return error;
  switch (systemCode(error)) {
    case "ENOENT":
    case "ECONNREFUSED":
      if (!socket.startsWith("/")) return new CliError(`nothing answers at ${socket}`, EXIT_FAILED, { cause: error });
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

/** Runs `use` with a client of the agent, and closes it. */
export function withClient<T>(run: string, use: (client: AgentClient) => Promise<T>): Promise<T> {
  return useClient(connect(run), use);
}

/** The same with a server of Hubble's API, where one is named. */
export function withObserver<T>(
  source: FlowSource,
  use: (client: Pick<AgentClient, "observer">) => Promise<T>,
): Promise<T> {
  return useClient(source.server === undefined ? connect(source.run) : connectServer(source.server, source), use);
}

async function useClient<T>(client: AgentClient, use: (client: AgentClient) => Promise<T>): Promise<T> {
  try {
    return await use(client);
  } catch (error) {
    throw callError(error, client.socket);
  } finally {
    client.close();
  }
}
