/**
 * @module
 * Hubble's services on a Connect router: Observer, Peer, health and reflection.
 */
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { create, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf";
import { health, observer, peer, reflection, reflectionAlpha } from "@skep/api";
import { FilterError } from "./filter/error.ts";
import { type PeerDirectory, Peers, type PeerRow } from "./peers.ts";
import { reflectionService } from "./reflection.ts";
import type { FlowServer } from "./server.ts";

export interface RoutesOptions {
  /** Where a relay finds this node: host and port, or `unix://PATH`. */
  readonly address?: string;
  /** Name in the server's certificate, where it speaks TLS. */
  readonly tlsServerName?: string;
  /** All nodes that the Peer service names, this one among them. Default: this one alone. */
  readonly peers?: PeerDirectory;
  /** Further services that reflection lists: those that the caller mounts itself. */
  readonly services?: readonly DescService[];
}

/** A filter that cannot be is the caller's mistake. */
function asked<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof FilterError)
      throw new ConnectError(error.message, Code.InvalidArgument, undefined, undefined, error);
    throw error;
  }
}

/** Ends a wait when the caller has gone. */
function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** Health of the server and of each of its services. */
export function healthService(services: readonly DescService[]): {
  check(request: health.HealthCheckRequest): health.HealthCheckResponse;
  watch(
    request: health.HealthCheckRequest,
    context: { readonly signal: AbortSignal },
  ): AsyncGenerator<health.HealthCheckResponse, void, undefined>;
} {
  const known = new Set(["", ...services.map((service) => service.typeName)]);
  const serving = create(health.HealthCheckResponseSchema, {
    status: health.HealthCheckResponse_ServingStatus.SERVING,
  });
  return {
    check({ service }) {
      if (!known.has(service)) throw new ConnectError(`${service} is not served here`, Code.NotFound);
      return serving;
    },
    async *watch({ service }, { signal }) {
      const unknown = create(health.HealthCheckResponseSchema, {
        status: health.HealthCheckResponse_ServingStatus.SERVICE_UNKNOWN,
      });
      yield known.has(service) ? serving : unknown;
      await untilAborted(signal);
    },
  };
}

function ownPeer(flows: FlowServer, { address = "", tlsServerName }: RoutesOptions): PeerRow {
  return { name: flows.nodeName, address, ...(tlsServerName !== undefined && { tlsServerName }) };
}

type PeerChange = keyof typeof CHANGES;
const CHANGES = {
  added: peer.ChangeNotificationType.PEER_ADDED,
  updated: peer.ChangeNotificationType.PEER_UPDATED,
  deleted: peer.ChangeNotificationType.PEER_DELETED,
} as const;

function changeMessage(type: PeerChange, { name, address, tlsServerName }: PeerRow): peer.ChangeNotification {
  const tls = tlsServerName === undefined ? {} : { tls: { serverName: tlsServerName } };
  return create(peer.ChangeNotificationSchema, { name, address, type: CHANGES[type], ...tls });
}

/** All nodes as added, then each that comes, changes or goes, until the caller goes. */
async function* peerChanges(
  directory: PeerDirectory,
  signal: AbortSignal,
): AsyncGenerator<peer.ChangeNotification, void, undefined> {
  let told = new Map<string, PeerRow>();
  while (!signal.aborted) {
    const changed = directory.changed(signal);
    const now = new Map(directory.current().map((row) => [row.name, row]));
    for (const [name, row] of told) if (!now.has(name)) yield changeMessage("deleted", row);
    for (const [name, row] of now) {
      const before = told.get(name);
      if (!before) yield changeMessage("added", row);
      else if (before.address !== row.address || before.tlsServerName !== row.tlsServerName)
        yield changeMessage("updated", row);
    }
    told = now;
    await changed;
  }
}

/** Mounts Observer, Peer, health and reflection. */
export function observerRoutes(router: ConnectRouter, flows: FlowServer, options: RoutesOptions = {}): ConnectRouter {
  const services = [
    observer.Observer,
    peer.Peer,
    health.Health,
    reflection.ServerReflection,
    reflectionAlpha.ServerReflection,
    ...(options.services ?? []),
  ];
  router.service(observer.Observer, {
    getFlows: (request, { signal }) => asked(() => flows.getFlows(request, signal)),
    getAgentEvents: (request, { signal }) => asked(() => flows.getAgentEvents(request, signal)),
    // The datapath has no debug messages: nothing comes, and with follow nothing will.
    async *getDebugEvents(request, { signal }) {
      if (request.follow) await untilAborted(signal);
      yield* [];
    },
    getNodes: () => flows.getNodes(),
    getNamespaces: () => flows.getNamespaces(),
    serverStatus: () => flows.serverStatus(),
  });
  router.service(peer.Peer, {
    notify: (_request, { signal }) => peerChanges(options.peers ?? new Peers([ownPeer(flows, options)]), signal),
  });
  router.service(health.Health, healthService(services));
  router.service(reflection.ServerReflection, reflectionService(services));
  router.service(reflectionAlpha.ServerReflection, reflectionAlphaService(services));
  return router;
}

/** The alpha version has the same messages under another name. */
function reflectionAlphaService(services: readonly DescService[]): {
  serverReflectionInfo(
    requests: AsyncIterable<reflectionAlpha.ServerReflectionRequest>,
  ): AsyncGenerator<reflectionAlpha.ServerReflectionResponse, void, undefined>;
} {
  const { serverReflectionInfo } = reflectionService(services);
  type Request = reflection.ServerReflectionRequest;
  return {
    async *serverReflectionInfo(requests) {
      const renamed = async function* (): AsyncGenerator<Request, void, undefined> {
        for await (const request of requests) {
          const bytes = toBinary(reflectionAlpha.ServerReflectionRequestSchema, request);
          yield fromBinary(reflection.ServerReflectionRequestSchema, bytes);
        }
      };
      for await (const response of serverReflectionInfo(renamed())) {
        const bytes = toBinary(reflection.ServerReflectionResponseSchema, response);
        yield fromBinary(reflectionAlpha.ServerReflectionResponseSchema, bytes);
      }
    },
  };
}
