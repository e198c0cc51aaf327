import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { observer, relay } from "@skep/api";
import { context, event } from "../../test/fixtures.ts";
import {
  FilterError,
  Observer,
  observerRoutes,
  recordOf,
  Relay,
  type RelayOptions,
  type RelayPeer,
  timestampOf,
} from "../index.ts";
import { Heap } from "./heap.ts";

const second = (n: number): bigint => BigInt(Math.round(n * 1000)) * 1_000_000n;

class Node {
  readonly flows: Observer;
  readonly name: string;
  down = false;
  readonly #cut = new Set<AbortController>();

  constructor(name: string) {
    this.name = name;
    this.flows = new Observer({ nodeName: name, version: "1", now: () => second(1000) });
  }

  add(port: number, at: number): void {
    const names = context({ wallTime: (time) => time, nodeName: this.name });
    this.flows.add(recordOf(event({ destinationPort: port, time: second(at) }), names));
  }

  cut(): void {
    for (const each of this.#cut) each.abort();
  }

  peer(): RelayPeer {
    const transport = createRouterTransport((router) => {
      observerRoutes(router, this.flows);
    });
    const client = createClient(observer.Observer, transport);
    const check = (): void => {
      if (this.down) throw new Error(`${this.name} is down`);
    };
    return {
      name: this.name,
      address: `${this.name}:4244`,
      client: {
        ...client,
        getFlows: (request, { signal }) => {
          check();
          const cut = new AbortController();
          this.#cut.add(cut);
          return client.getFlows(request, { signal: AbortSignal.any([cut.signal, ...(signal ? [signal] : [])]) });
        },
        serverStatus: async (request, options) => {
          check();
          return client.serverStatus(request, options);
        },
      },
    };
  }
}

const relayOf = (nodes: readonly Node[], options: Partial<RelayOptions> = {}): Relay =>
  new Relay({
    name: "relay",
    version: "1",
    peers: nodes.map((node) => node.peer()),
    now: () => 1_000_000,
    drainMs: 20,
    retryMs: 5,
    ...options,
  });

const iterate = <T>(stream: AsyncIterable<T>): AsyncIterator<T, unknown> => stream[Symbol.asyncIterator]();

const requestOf = (init: MessageInitShape<typeof observer.GetFlowsRequestSchema>): observer.GetFlowsRequest =>
  create(observer.GetFlowsRequestSchema, init);

function shown({ responseTypes, nodeName }: observer.GetFlowsResponse): string {
  if (responseTypes.case === "nodeStatus") {
    const { stateChange, nodeNames } = responseTypes.value;
    return `${relay.NodeStateSchema.value[stateChange]?.name} ${nodeNames.join(",")}`;
  }
  const l4 = responseTypes.case === "flow" ? responseTypes.value.l4?.protocol : undefined;
  return `${nodeName} ${l4?.case === "TCP" ? l4.value.destinationPort : "?"}`;
}

async function all(from: Relay, init: MessageInitShape<typeof observer.GetFlowsRequestSchema>): Promise<string[]> {
  const found: string[] = [];
  for await (const each of from.getFlows(requestOf(init), new AbortController().signal)) found.push(shown(each));
  return found;
}

function twoNodes(): [Node, Node] {
  const [a, b] = [new Node("a"), new Node("b")];
  a.add(1, 1);
  b.add(2, 2);
  a.add(3, 3);
  b.add(4, 4);
  b.add(5, 5);
  return [a, b];
}

describe("a relay", () => {
  it("gives the flows of all nodes in the order of their time", async () => {
    expect(await all(relayOf(twoNodes()), {})).toEqual(["NODE_CONNECTED a,b", "a 1", "b 2", "a 3", "b 4", "b 5"]);
  });

  it("cuts to the first and last of all", async () => {
    const from = relayOf(twoNodes());
    expect((await all(from, { number: 2n })).slice(1)).toEqual(["b 4", "b 5"]);
    expect((await all(from, { number: 2n, first: true })).slice(1)).toEqual(["a 1", "b 2"]);
    expect((await all(from, { number: 2n, whitelist: [{ destinationPort: ["1", "2", "4"] }] })).slice(1)).toEqual([
      "b 2",
      "b 4",
    ]);
  });

  it("refuses what cannot be, once", () => {
    const from = relayOf(twoNodes());
    const { signal } = new AbortController();
    expect(() => from.getFlows(requestOf({ whitelist: [{ sourceIp: ["x"] }] }), signal)).toThrow(FilterError);
    expect(() => from.getFlows(requestOf({ first: true, follow: true }), signal)).toThrow(FilterError);
  });

  it("says which node does not answer, and goes on with the others", async () => {
    const [a, b] = twoNodes();
    a.down = true;
    const from = relayOf([a, b]);
    expect(await all(from, {})).toEqual(["NODE_CONNECTED b", "NODE_UNAVAILABLE a", "b 2", "b 4", "b 5"]);
    expect(await from.serverStatus()).toMatchObject({
      numFlows: 3n,
      numConnectedNodes: 1,
      numUnavailableNodes: 1,
      unavailableNodes: ["a"],
    });
    expect((await from.getNodes()).nodes).toMatchObject([
      { name: "a", address: "a:4244", state: relay.NodeState.NODE_UNAVAILABLE },
      { name: "b", state: relay.NodeState.NODE_CONNECTED, numFlows: 3n },
    ]);
    expect((await from.getNamespaces()).namespaces).toMatchObject([{ cluster: "default", namespace: "default" }]);
  });

  it("sums", async () => {
    expect(await relayOf(twoNodes()).serverStatus()).toMatchObject({ numFlows: 5n, seenFlows: 5n, maxFlows: 8190n });
  });

  it("follows in order, though nodes answer out of it", async () => {
    const [a, b] = [new Node("a"), new Node("b")];
    const stop = new AbortController();
    const stream = iterate(relayOf([a, b]).getFlows(requestOf({ follow: true, since: timestampOf(0n) }), stop.signal));
    expect(shown((await stream.next()).value as observer.GetFlowsResponse)).toBe("NODE_CONNECTED a,b");
    const next = stream.next();
    b.add(20, 20);
    b.add(40, 40);
    a.add(10, 10);
    a.add(30, 30);
    const seen = [await next, await stream.next(), await stream.next(), await stream.next()];
    expect(seen.map(({ value }) => shown(value as observer.GetFlowsResponse))).toEqual([
      "a 10",
      "b 20",
      "a 30",
      "b 40",
    ]);
    const end = stream.next();
    stop.abort();
    expect((await end).done).toBe(true);
  });

  it("asks a node again that went away, and misses and repeats nothing", async () => {
    const [a] = [new Node("a")];
    const stop = new AbortController();
    const stream = iterate(relayOf([a]).getFlows(requestOf({ follow: true, since: timestampOf(0n) }), stop.signal));
    await stream.next();
    const read = async (): Promise<string> => shown((await stream.next()).value as observer.GetFlowsResponse);
    const first = read();
    a.add(1, 2000);
    expect(await first).toBe("a 1");
    a.down = true;
    a.cut();
    expect(await read()).toBe("NODE_UNAVAILABLE a");
    a.add(2, 2001);
    a.down = false;
    const rest: string[] = [];
    while (!rest.includes("a 2")) rest.push(await read());
    expect(rest).toEqual(["NODE_CONNECTED a", "a 2"]);
    stop.abort();
  });

  it("does not let one node's flood outgrow its buffer", async () => {
    const [a] = [new Node("a")];
    const stop = new AbortController();
    const stream = iterate(
      relayOf([a], { sortBuffer: 10, drainMs: 600_000 }).getFlows(
        requestOf({ follow: true, since: timestampOf(0n) }),
        stop.signal,
      ),
    );
    await stream.next();
    const next = stream.next();
    for (let port = 1; port <= 30; port++) a.add(port, port);
    // The drain is far away: what comes out was pushed out by the eleventh.
    expect(shown((await next).value as observer.GetFlowsResponse)).toBe("a 1");
    stop.abort();
  });
});

describe("a heap", () => {
  it("gives the least first, equals in their order", () => {
    const heap = new Heap<[number, string]>((a, b) => a[0] < b[0]);
    const values: [number, string][] = [5, 1, 4, 1, 3, 1, 9, 2].map((value, at) => [value, `${at}`]);
    for (const each of values) heap.push(each);
    const sorted = Array.from({ length: heap.size }, () => heap.pop());
    expect(sorted.map((each) => each?.join())).toEqual(["1,1", "1,3", "1,5", "2,7", "3,4", "4,2", "5,0", "9,6"]);
    expect(heap.pop()).toBeUndefined();
  });
});
