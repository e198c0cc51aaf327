import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { flow, skep } from "@skep/api";
import { flowRoutes, Observer, recordOfFlow, ServiceMap, timestampOf } from "../index.ts";

type Over = Exclude<MessageInitShape<typeof flow.FlowSchema>, flow.Flow>;
const second = (n: number): bigint => BigInt(n) * 1_000_000_000n;

const sample = (at: number, over: Over = {}): flow.Flow =>
  create(flow.FlowSchema, {
    time: timestampOf(second(at)),
    uuid: `u${at}`,
    source: { namespace: "shop", podName: "web-1", labels: ["k8s:app=web"], identity: 700 },
    destination: { namespace: "shop", podName: "db-1", labels: ["k8s:app=db"], identity: 701 },
    l4: { protocol: { case: "TCP", value: { sourcePort: 4000, destinationPort: 5432 } } },
    eventType: { type: 4, subType: 0 },
    verdict: flow.Verdict.FORWARDED,
    isReply: false,
    ingressAllowedBy: [{ kind: "CiliumNetworkPolicy", namespace: "shop", name: "db" }],
    ...over,
  });

const dropped: Over = {
  verdict: flow.Verdict.DROPPED,
  eventType: { type: 1, subType: 133 },
  dropReasonDesc: flow.DropReason.POLICY_DENIED,
  ingressAllowedBy: [],
  ingressDeniedBy: [{ kind: "CiliumNetworkPolicy", namespace: "shop", name: "closed" }],
};

describe("a service map", () => {
  it("adds flows up by application, protocol and port", () => {
    const map = new ServiceMap();
    for (const at of [1, 2, 3]) map.add(sample(at));
    map.add(sample(4, dropped));
    const { nodes, edges } = map.changes(second(4));
    expect(nodes.map(({ id, kind, pods, flows }) => ({ id, kind, pods, flows }))).toEqual([
      { id: "shop/web", kind: "workload", pods: ["web-1"], flows: 4n },
      { id: "shop/db", kind: "workload", pods: ["db-1"], flows: 4n },
    ]);
    expect(edges).toMatchObject([
      {
        ...{ source: "shop/web", destination: "shop/db", protocol: "TCP", port: 5432, forwarded: 3n, dropped: 1n },
        ...{ rate: 0.4, dropRate: 0.1, lastVerdict: flow.Verdict.DROPPED, lastDropUuid: "u4", lastUuid: "u4" },
        deniedBy: [{ name: "closed" }],
        allowedBy: [{ name: "db" }],
      },
    ]);
  });

  it("takes a reply for a sign of its request, and counts no verdict twice", () => {
    const map = new ServiceMap();
    const { source, destination } = sample(1);
    const l4 = { protocol: { case: "TCP" as const, value: { sourcePort: 5432, destinationPort: 4000 } } };
    map.add(sample(1, { isReply: true, source: destination!, destination: source!, l4 }));
    map.add(sample(1, { eventType: { type: 5 } }));
    map.add(sample(1, { eventType: { type: 5 }, verdict: flow.Verdict.AUDIT }));
    expect(map.changes(null).edges).toMatchObject([
      { id: "shop/web>shop/db TCP/5432", forwarded: 0n, audit: 1n, dropped: 0n },
    ]);
  });

  it.each([
    [skep.Grouping.NAMESPACE, ["shop"]],
    [skep.Grouping.POD, ["shop/web-1", "shop/db-1"]],
    [skep.Grouping.IDENTITY, ["identity:700", "identity:701"]],
  ])("groups by %s", (grouping, ids) => {
    const map = new ServiceMap({ grouping });
    map.add(sample(1));
    expect(map.changes(null).nodes.map(({ id }) => id)).toEqual(ids);
  });

  it.each([
    [{ labels: ["reserved:world"], identity: 2 }, [], "reserved:world", "world"],
    [{ labels: ["reserved:world"], identity: 2 }, ["example.org"], "dns:example.org", "world"],
    [{ labels: ["cidr:192.0.2.0/24", "reserved:world-ipv4"], identity: 0x1000001 }, [], "reserved:world", "world"],
    [{ identity: 1 }, [], "reserved:host", "host"],
    [
      { labels: ["reserved:kube-apiserver", "reserved:host"], identity: 7 },
      [],
      "reserved:kube-apiserver",
      "kube-apiserver",
    ],
    [{ labels: ["k8s:app=api", "k8s:io.kubernetes.pod.namespace=far"], identity: 9000 }, [], "far/api", "workload"],
    [undefined, [], "reserved:unknown", "other"],
  ])("knows the end %j %j as %s", (destination, destinationNames, id, kind) => {
    const map = new ServiceMap();
    const message = sample(1, { destinationNames });
    if (destination) message.destination = create(flow.EndpointSchema, destination);
    else delete message.destination;
    map.add(message);
    expect(map.changes(null).nodes[1]).toMatchObject({ id, kind });
  });

  it("tells only what has changed, and a rate until it has fallen", () => {
    const map = new ServiceMap();
    map.add(sample(100));
    expect(map.changes(second(100)).edges).toMatchObject([{ rate: 0.1 }]);
    expect(map.changes(second(105))).toMatchObject({ nodes: [], edges: [{ rate: 0.1 }] });
    expect(map.changes(second(111)).edges).toMatchObject([{ rate: 0 }]);
    expect(map.changes(second(112)).edges).toEqual([]);
  });

  it("is bounded, and says what went", () => {
    const map = new ServiceMap({ maxNodes: 8, maxEdges: 8 });
    for (let at = 0; at < 20; at++)
      map.add(sample(at, { source: { namespace: "n", podName: `p${at}`, identity: 800 + at } }));
    expect(map.nodes).toBeLessThanOrEqual(8);
    expect(map.edges).toBeLessThanOrEqual(8);
    const { removedNodes, removedEdges, flows } = map.changes(null);
    expect(removedNodes).toContain("n/p0");
    expect(removedEdges).toContain("n/p0>shop/db TCP/5432");
    expect(flows).toBe(20n);
  });
});

function served(): { flows: Observer; client: ReturnType<typeof createClient<typeof skep.Flows>> } {
  const now = (): bigint => second(1000);
  const flows = new Observer({ nodeName: "default/endor", version: "1", now });
  const transport = createRouterTransport((router) => {
    flowRoutes(router, flows, { now, ring: () => ({ flows: flows.ring.size, bytes: 10 }) });
  });
  return { flows, client: createClient(skep.Flows, transport) };
}

describe("skep.v1.Flows", () => {
  it("gives the map of what is there, and follows", async () => {
    const { flows, client } = served();
    flows.add(recordOfFlow(sample(990)));
    const past: skep.GetServiceMapResponse[] = [];
    for await (const each of client.getServiceMap({})) past.push(each);
    expect(past).toMatchObject([{ flows: 1n, edges: [{ forwarded: 1n }] }]);

    const stop = new AbortController();
    const following = client.getServiceMap({ follow: true, intervalMs: 1 }, { signal: stop.signal });
    const stream = following[Symbol.asyncIterator]();
    expect((await stream.next()).value).toMatchObject({ flows: 1n });
    flows.add(recordOfFlow(sample(1001, dropped)));
    flows.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, 3n);
    const { value } = await stream.next();
    expect(value).toMatchObject({ flows: 2n, lost: 3n, edges: [{ forwarded: 1n, dropped: 1n }] });
    stop.abort();
    await expect(stream.next()).rejects.toMatchObject({ code: Code.Canceled });
  });

  it("filters, and refuses a filter that cannot be", async () => {
    const { flows, client } = served();
    flows.add(recordOfFlow(sample(990)));
    flows.add(recordOfFlow(sample(991, dropped)));
    const whitelist = [{ verdict: [flow.Verdict.DROPPED] }];
    for await (const each of client.getServiceMap({ whitelist }))
      expect(each.edges).toMatchObject([{ forwarded: 0n, dropped: 1n }]);
    const wrong = client.getServiceMap({ whitelist: [{ sourceIp: ["x"] }] });
    const refused = wrong[Symbol.asyncIterator]().next();
    await expect(refused).rejects.toMatchObject({ code: Code.InvalidArgument });
  });

  it("counts over time", async () => {
    const { flows, client } = served();
    for (const at of [100, 101, 150, 199]) flows.add(recordOfFlow(sample(at, at === 150 ? dropped : {})));
    const range = { since: timestampOf(second(100)), until: timestampOf(second(200)) };
    const { buckets, oldest } = await client.getTimeline({ ...range, buckets: 4 });
    expect(buckets.map(({ forwarded, dropped: drops }) => [forwarded, drops])).toEqual([
      [2n, 0n],
      [0n, 1n],
      [0n, 0n],
      [1n, 0n],
    ]);
    expect(oldest).toMatchObject({ seconds: 100n });
    await expect(client.getTimeline({ buckets: 1e6 })).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(client.getTimeline({ until: timestampOf(second(1)), since: timestampOf(second(2)) })).rejects.toThrow(
      /until is before since/,
    );
  });

  it("says that no history is kept", async () => {
    const { client } = served();
    expect(await client.getHistory({})).toMatchObject({ directory: "", ringFlows: 0n, ringBytes: 10n });
    const asked = client.queryHistory({ sql: "SELECT 1" })[Symbol.asyncIterator]().next();
    await expect(asked).rejects.toMatchObject({ code: Code.FailedPrecondition });
  });
});
