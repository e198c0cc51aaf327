/**
 * @module
 * The page on a loopback address: its files, and the API that it reads. Nothing that is served here changes anything, since whoever is on the
 * machine can reach the port.
 */
import { readdir, readFile } from "node:fs/promises";
import http from "node:http";
import { extname, join, relative } from "node:path";
import type { Client, ConnectRouter } from "@connectrpc/connect";
import { observer, skep } from "@skep/api";
import {
  type DnsNames,
  type FlowHistory,
  flowRoutes,
  type Observer,
  observerRoutes,
  type PeerDirectory,
  withHistory,
} from "@skep/flows";
import type { Agent } from "./agent.ts";
import { serveLoopback } from "./loopback.ts";
import { agentRoutes } from "./service.ts";

/** Where the built files are. A folder may be made when it is first asked for. */
export interface PageFiles {
  /** Folder of the page, with `index.html`. */
  page(): Promise<string>;
  /** Folder of the playground, served below `/playground/`. */
  playground(): Promise<string>;
}

export interface PageOptions {
  /** `127.0.0.1:12000`; the port 0 is any free one. Loopback only. */
  readonly listen: string;
  readonly files: PageFiles;
  /** The API behind the page; only what reads is let through. */
  readonly routes: (router: ConnectRouter) => void;
}

export interface RunningPage {
  /** With the port that was taken. */
  readonly url: string;
  close(): Promise<void>;
}

export interface AgentRoutesOptions {
  /** Where a relay finds the agent. */
  readonly address?: string;
  /** All nodes. Default: this one. */
  readonly peers?: PeerDirectory;
  readonly history?: FlowHistory;
  /** Names that workloads have resolved. */
  readonly dns?: DnsNames;
}

/** The API of an agent in this process. */
export function agentPageRoutes(
  agent: Agent,
  flows: Observer,
  { address = "", peers, history, dns }: AgentRoutesOptions = {},
): PageOptions["routes"] {
  const { clock } = agent.options.machine;
  const served = history ? withHistory(flows, history) : flows;
  return (router) => {
    agentRoutes(router, agent, { flows, ...(dns && { dns }) });
    observerRoutes(router, served, { address, ...(peers && { peers }), services: [skep.Agent, skep.Flows] });
    flowRoutes(router, served, {
      ...(history && { history }),
      now: () => BigInt(Math.round(clock.now() * 1_000_000)),
      ring: () => ({ flows: flows.ring.size, bytes: flows.ring.bytes }),
    });
  };
}

/** The same of an agent behind a client: what only reads. */
export function clientPageRoutes(clients: {
  readonly agent: Client<typeof skep.Agent>;
  readonly flows: Client<typeof skep.Flows>;
  readonly observer: Client<typeof observer.Observer>;
}): PageOptions["routes"] {
  const { agent, flows, observer: hubble } = clients;
  return (router) => {
    router.service(skep.Agent, {
      getStatus: (request, { signal }) => agent.getStatus(request, { signal }),
      listEndpoints: (request, { signal }) => agent.listEndpoints(request, { signal }),
      listIdentities: (request, { signal }) => agent.listIdentities(request, { signal }),
      listServices: (request, { signal }) => agent.listServices(request, { signal }),
      getPolicy: (request, { signal }) => agent.getPolicy(request, { signal }),
      getSettings: (request, { signal }) => agent.getSettings(request, { signal }),
      listDnsNames: (request, { signal }) => agent.listDnsNames(request, { signal }),
    });
    router.service(skep.Flows, {
      getServiceMap: (request, { signal }) => flows.getServiceMap(request, { signal }),
      getTimeline: (request, { signal }) => flows.getTimeline(request, { signal }),
      getHistory: (request, { signal }) => flows.getHistory(request, { signal }),
      queryHistory: (request, { signal }) => flows.queryHistory(request, { signal }),
    });
    router.service(observer.Observer, {
      getFlows: (request, { signal }) => hubble.getFlows(request, { signal }),
      getAgentEvents: (request, { signal }) => hubble.getAgentEvents(request, { signal }),
      getNodes: (request, { signal }) => hubble.getNodes(request, { signal }),
      getNamespaces: (request, { signal }) => hubble.getNamespaces(request, { signal }),
      serverStatus: (request, { signal }) => hubble.serverStatus(request, { signal }),
    });
  };
}

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
};

const policyText = (directives: Readonly<Record<string, string>>): string =>
  Object.entries({ "default-src": "'none'", "base-uri": "'none'", "form-action": "'none'", ...directives })
    .map(([name, value]) => `${name} ${value}`)
    .join("; ");

const shared = {
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
};

const OWN = "'self'";

/** The page asks nobody but this server, and evaluates nothing. */
const pageHeaders = {
  ...shared,
  "Content-Security-Policy": policyText({
    ...{ "script-src": OWN, "style-src": OWN, "connect-src": OWN, "frame-src": OWN, "frame-ancestors": "'none'" },
    "img-src": `${OWN} data:`,
  }),
};

/** The playground runs programs as WebAssembly, asks for nothing, and stands in the page. */
const playgroundHeaders = {
  ...shared,
  "Content-Security-Policy": policyText({
    ...{ "script-src": `${OWN} 'wasm-unsafe-eval'`, "style-src": OWN, "worker-src": OWN, "img-src": OWN },
    "frame-ancestors": OWN,
  }),
};

type Headers = Readonly<Record<string, string>>;

async function namesBelow(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [relative(folder, path), path]));
}

/** Files below a folder that is looked at once, when the first of them is asked for: a name that is not there is not served. */
class Files {
  readonly #folder: () => Promise<string>;
  readonly #headers: Headers;
  #names: Promise<Map<string, string>> | null = null;

  constructor(folder: () => Promise<string>, headers: Headers) {
    this.#folder = folder;
    this.#headers = headers;
  }

  async answer(name: string, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    if (request.method !== "GET" && request.method !== "HEAD") return refuse(response, 405);
    this.#names ??= this.#folder().then(namesBelow);
    const path = (await this.#names).get(name === "" ? "index.html" : name);
    const type = TYPES[extname(path ?? "")];
    if (path === undefined || type === undefined) return refuse(response, 404);
    const bytes = await readFile(path);
    // Names below assets/ carry a hash of what is in them.
    const caching = name.startsWith("assets/") ? "max-age=31536000, immutable" : "no-cache";
    const headers = { ...this.#headers, "Content-Type": type, "Content-Length": bytes.length };
    response.writeHead(200, { ...headers, "Cache-Control": caching });
    response.end(request.method === "HEAD" ? undefined : bytes);
  }
}

function refuse(response: http.ServerResponse, status: number): void {
  response.writeHead(status, { ...pageHeaders, "Content-Type": "text/plain" });
  response.end(`${http.STATUS_CODES[status]}\n`);
}

/** Answers with the files of the page. */
export function pageListener(files: PageFiles): http.RequestListener {
  const page = new Files(() => files.page(), pageHeaders);
  const playground = new Files(() => files.playground(), playgroundHeaders);
  return (request, response) => {
    const name = (request.url ?? "/").replace(/[?#].*$/s, "").slice(1);
    const below = /^playground\/(.*)$/.exec(name);
    const answered = below
      ? playground.answer(below[1] ?? "", request, response)
      : page.answer(name, request, response);
    answered.catch((error: unknown) => response.destroy(error as Error));
  };
}

/** Serves the page until it is closed. Throws ApiListenError before anything listens. */
export async function servePage({ listen, files, routes }: PageOptions): Promise<RunningPage> {
  const { address, close } = await serveLoopback({ listen, page: pageListener(files) }, routes);
  return { url: `http://${address}/`, close };
}
