// A relay that finds its nodes by an agent's Peer service, over gRPC: the agent is on the simulated machine, the other nodes' servers on loopback.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http2 from "node:http2";
import net, { type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { flow, observer, peer, relay } from "@skep/api";
import { Observer, observerRoutes, type OpenPeer, recordOfFlow, Relay, ServicePeers } from "@skep/flows";
import { openSim } from "@skep/sim";
import { createLogger, type RunningAgent, startAgent } from "../src/index.ts";

const PATIENCE = { timeout: 60_000, interval: 20 };

interface Node {
  readonly port: number;
  readonly flows: Observer;
  close(): Promise<void>;
}

function nodeServer(name: string, host: string, port: number): Promise<Node> {
  const flows = new Observer({ nodeName: name, version: "1", now: () => 0n });
  const server = http2.createServer(connectNodeAdapter({ routes: (router) => observerRoutes(router, flows) }));
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session) => sessions.add(session));
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () =>
      resolve({
        ...{ port: (server.address() as AddressInfo).port, flows },
        close: () => {
          for (const session of sessions) session.destroy();
          return new Promise((closed) => server.close(() => closed()));
        },
      }),
    );
  });
}

/** Two nodes that serve on one port of two addresses; another port where that of the first is taken on the second. */
async function twoNodes(): Promise<[Node, Node]> {
  for (let tries = 0; ; tries++) {
    const first = await nodeServer("default/h1", "127.0.0.2", 0);
    try {
      return [first, await nodeServer("default/h2", "127.0.0.3", first.port)];
    } catch (error) {
      await first.close();
      if (tries === 20 || (error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    }
  }
}

function transportTo(address: string): { transport: ReturnType<typeof createGrpcTransport>; close: () => void } {
  const path = address.startsWith("unix://") ? address.slice(7) : null;
  const baseUrl = path === null ? `http://${address}` : "http://skep";
  const options = path === null ? {} : { createConnection: () => net.connect(path) };
  const sessionManager = new Http2SessionManager(baseUrl, undefined, options);
  return { transport: createGrpcTransport({ baseUrl, sessionManager }), close: () => sessionManager.abort() };
}

function open({ name, address }: { name: string; address: string }): OpenPeer {
  const { transport, close } = transportTo(address);
  return { name, address, client: createClient(observer.Observer, transport), close };
}

const nodeObject = (name: string, ip: string): string =>
  JSON.stringify({
    ...{ apiVersion: "cilium.io/v2", kind: "CiliumNode", metadata: { name } },
    spec: { addresses: [{ type: "InternalIP", ip }] },
  });

describe("a relay by the Peer service of an agent", () => {
  let folder: string;
  let running: RunningAgent;
  let nodes: readonly Node[];
  let peers: ServicePeers;
  let closeService: () => void;
  let merged: Relay;
  const machine = openSim();

  const setNodes = (...objects: readonly string[]): void => {
    writeFileSync(join(folder, "documents", "nodes.yaml"), objects.join("\n---\n"));
    // One look sees that the file has changed, the next that it has kept still.
    running.agent.rescan();
    running.agent.rescan();
  };
  const start = async (): Promise<void> => {
    running = await startAgent({
      ...{ machine, directory: join(folder, "documents"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
      ...{ nodeName: "h0", hubblePeerPort: nodes[0]?.port ?? 0 },
      log: createLogger({ write: () => undefined, now: () => machine.clock.now(), format: "json" }),
    });
  };
  const counts = async (): Promise<object> => {
    const { numConnectedNodes, numUnavailableNodes, unavailableNodes } = await merged.serverStatus();
    return { connected: numConnectedNodes, unavailable: numUnavailableNodes, names: unavailableNodes };
  };
  const reaches = (connected: number, ...names: readonly string[]): Promise<void> =>
    vi.waitFor(async () => expect(await counts()).toEqual({ connected, unavailable: names.length, names }), PATIENCE);

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "skep-peers-"));
    mkdirSync(join(folder, "documents"));
    nodes = await twoNodes();
    await start();
    const service = transportTo(`unix://${running.socket}`);
    closeService = service.close;
    const client = createClient(peer.Peer, service.transport);
    peers = new ServicePeers({
      ...{ open, retryMs: 20, settleMs: 200 },
      notify: (signal) => client.notify({}, { signal }),
    });
    merged = new Relay({ name: "relay", version: "1", peers, now: () => Date.now(), retryMs: 20, drainMs: 20 });
  });
  afterEach(async () => {
    await peers.close();
    closeService();
    running.agent.datapath.destroy();
    await running.close();
    for (const node of nodes) await node.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("connects to nodes as they come, again to those that were away, and drops those that go", async () => {
    await reaches(1);
    setNodes(nodeObject("h0", "127.0.0.1"), nodeObject("h1", "127.0.0.2"), nodeObject("h2", "127.0.0.3"));
    await reaches(3);
    expect((await merged.getNodes()).nodes.map(({ name, address }) => `${name} ${address}`)).toEqual([
      `default/h0 unix://${running.socket}`,
      `default/h1 127.0.0.2:${nodes[0]?.port}`,
      `default/h2 127.0.0.3:${nodes[1]?.port}`,
    ]);
    await nodes[1]?.close();
    await reaches(2, "default/h2");
    const [first] = nodes as [Node, Node];
    nodes = [first, await vi.waitFor(() => nodeServer("default/h2", "127.0.0.3", first.port), PATIENCE)];
    await reaches(3);
    // Its address is another one: nobody answers there.
    setNodes(nodeObject("h1", "127.0.0.4"), nodeObject("h2", "127.0.0.3"));
    await reaches(2, "default/h1");
    setNodes(nodeObject("h2", "127.0.0.3"));
    await reaches(2);
  }, 120_000);

  it("keeps its nodes while the service is away, and forgets those that it does not name again", async () => {
    setNodes(nodeObject("h1", "127.0.0.2"), nodeObject("h2", "127.0.0.3"));
    await reaches(3);
    await running.close();
    await reaches(2, "default/h0");
    writeFileSync(join(folder, "documents", "nodes.yaml"), nodeObject("h2", "127.0.0.3"));
    await start();
    await reaches(2);
    expect((await merged.getNodes()).nodes.map(({ name }) => name)).toEqual(["default/h0", "default/h2"]);
  }, 120_000);

  it("a request that follows gets the flows of nodes that come later, and hears who goes", async () => {
    await reaches(1);
    const stop = new AbortController();
    const request = create(observer.GetFlowsRequestSchema, { follow: true, since: { seconds: 0n } });
    const seen: string[] = [];
    const reading = (async (): Promise<void> => {
      for await (const { responseTypes: each } of merged.getFlows(request, stop.signal)) {
        if (each.case === "flow") seen.push(each.value.uuid);
        if (each.case === "nodeStatus")
          for (const name of each.value.nodeNames)
            seen.push(`${relay.NodeStateSchema.value[each.value.stateChange]?.name} ${name}`);
      }
    })();
    const sees = (what: string): Promise<void> => vi.waitFor(() => expect(seen).toContain(what), PATIENCE);
    await sees("NODE_CONNECTED default/h0");
    const flowOf = (uuid: string, seconds: bigint): Parameters<Observer["add"]>[0] =>
      recordOfFlow(create(flow.FlowSchema, { uuid, time: { seconds }, source: { namespace: "n" } }));
    nodes[0]?.flows.add(flowOf("before", 1n));
    setNodes(nodeObject("h1", "127.0.0.2"));
    await sees("NODE_CONNECTED default/h1");
    await sees("before");
    nodes[0]?.flows.add(flowOf("after", 2n));
    await sees("after");
    setNodes();
    await sees("NODE_GONE default/h1");
    nodes[0]?.flows.add(flowOf("gone", 3n));
    setNodes(nodeObject("h2", "127.0.0.3"));
    await sees("NODE_CONNECTED default/h2");
    nodes[1]?.flows.add(flowOf("other", 4n));
    await sees("other");
    expect(seen.filter((each) => ["before", "after", "gone"].includes(each))).toEqual(["before", "after"]);
    stop.abort();
    await reading;
  }, 120_000);
});
