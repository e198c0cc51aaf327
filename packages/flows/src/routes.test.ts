import { create, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { flow, health, observer, peer, reflection, reflectionAlpha, skep } from "@skep/api";
import { context, event } from "../test/fixtures.ts";
import { Observer, observerRoutes, type PeerRow, Peers, recordOf } from "./index.ts";

function served(): { flows: Observer; transport: ReturnType<typeof createRouterTransport> } {
  const flows = new Observer({ nodeName: "default/endor", version: "1.2.3", now: () => 5_000_000_000n });
  const transport = createRouterTransport((router) => {
    observerRoutes(router, flows, { address: "unix:///run/skep/skep.sock", services: [skep.Agent] });
  });
  return { flows, transport };
}

async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const each of stream) found.push(each);
  return found;
}

describe("the observer service", () => {
  it("streams what is asked for, and follows", async () => {
    const { flows, transport } = served();
    const client = createClient(observer.Observer, transport);
    flows.add(recordOf(event(), context()));
    flows.add(recordOf(event({ type: 1, reason: 133 }), context()));
    const dropped = await all(client.getFlows({ whitelist: [{ verdict: [flow.Verdict.DROPPED] }] }));
    expect(dropped.map((each) => each.responseTypes.case)).toEqual(["flow"]);
    expect(dropped[0]?.nodeName).toBe("default/endor");

    const stop = new AbortController();
    const following = client.getFlows({ follow: true, number: 1n }, { signal: stop.signal })[Symbol.asyncIterator]();
    expect((await following.next()).done).toBe(false);
    const next = following.next();
    flows.add(recordOf(event({ destinationPort: 99 }), context()));
    expect((await next).value?.responseTypes.value).toMatchObject({
      l4: { protocol: { value: { destinationPort: 99 } } },
    });
    const end = following.next();
    stop.abort();
    await expect(end).rejects.toMatchObject({ code: Code.Canceled });
  });

  it("refuses a filter that cannot be as an invalid argument", async () => {
    const client = createClient(observer.Observer, served().transport);
    const refused = all(client.getFlows({ whitelist: [{ sourceIp: ["x"] }] }));
    await expect(refused).rejects.toMatchObject({ code: Code.InvalidArgument });
    await expect(refused).rejects.toThrow(/not an IP address/);
    const events = all(client.getAgentEvents({ first: true, follow: true }));
    await expect(events).rejects.toMatchObject({ code: Code.InvalidArgument });
  });

  it("tells its state", async () => {
    const { flows, transport } = served();
    flows.add(recordOf(event(), context()));
    flows.addAgentEvent(create(flow.AgentEventSchema, { type: flow.AgentEventType.AGENT_STARTED }));
    const client = createClient(observer.Observer, transport);
    expect(await client.serverStatus({})).toMatchObject({ numFlows: 1n, version: "1.2.3" });
    expect((await client.getNodes({})).nodes).toMatchObject([{ name: "default/endor" }]);
    expect((await client.getNamespaces({})).namespaces).toMatchObject([{ namespace: "default" }]);
    expect(await all(client.getDebugEvents({}))).toEqual([]);
    expect((await all(client.getAgentEvents({})))[0]?.agentEvent?.type).toBe(flow.AgentEventType.AGENT_STARTED);
  });
});

describe("the peer service", () => {
  it("names the node and stays", async () => {
    const stop = new AbortController();
    const client = createClient(peer.Peer, served().transport);
    const stream = client.notify({}, { signal: stop.signal })[Symbol.asyncIterator]();
    expect((await stream.next()).value).toMatchObject({
      name: "default/endor",
      address: "unix:///run/skep/skep.sock",
      type: peer.ChangeNotificationType.PEER_ADDED,
    });
    const end = stream.next();
    stop.abort();
    await expect(end).rejects.toBeInstanceOf(ConnectError);
  });
});

describe("the peer service of several nodes", () => {
  it("tells each that comes, changes and goes", async () => {
    const [a, b, c] = ["a", "b", "c"].map((name) => ({ name, address: `${name}:4244` })) as [PeerRow, PeerRow, PeerRow];
    const peers = new Peers([a, b]);
    const flows = new Observer({ nodeName: "a", version: "1", now: () => 0n });
    const transport = createRouterTransport((router) => {
      observerRoutes(router, flows, { peers });
    });
    const stop = new AbortController();
    const stream = createClient(peer.Peer, transport).notify({}, { signal: stop.signal })[Symbol.asyncIterator]();
    const read = async (): Promise<string> => {
      const { type, name, address, tls } = (await stream.next()).value as peer.ChangeNotification;
      return `${peer.ChangeNotificationTypeSchema.value[type]?.name} ${name} ${address} ${tls?.serverName ?? "-"}`;
    };
    expect([await read(), await read()]).toEqual(["PEER_ADDED a a:4244 -", "PEER_ADDED b b:4244 -"]);
    const next = read();
    peers.set([a, { ...b, address: "b:1", tlsServerName: "b.test" }]);
    expect(await next).toBe("PEER_UPDATED b b:1 b.test");
    const gone = read();
    peers.set([a]);
    peers.set([a, c]);
    expect([await gone, await read()]).toEqual(["PEER_DELETED b b:1 b.test", "PEER_ADDED c c:4244 -"]);
    const end = read();
    stop.abort();
    await expect(end).rejects.toBeInstanceOf(ConnectError);
  });
});

describe("health", () => {
  it("is of the server and of each service", async () => {
    const client = createClient(health.Health, served().transport);
    const serving = { status: health.HealthCheckResponse_ServingStatus.SERVING };
    expect(await client.check({})).toMatchObject(serving);
    expect(await client.check({ service: "skep.v1.Agent" })).toMatchObject(serving);
    await expect(client.check({ service: "nobody" })).rejects.toMatchObject({ code: Code.NotFound });
  });
});

async function* once<T>(value: T): AsyncGenerator<T, void, undefined> {
  yield value;
}

describe("reflection", () => {
  it.each([
    ["v1", reflection.ServerReflection],
    ["v1alpha", reflectionAlpha.ServerReflection],
  ] as const)("%s lists services and gives files with what they import", async (_name, service) => {
    const client = createClient(service as typeof reflection.ServerReflection, served().transport);
    const ask = async (
      messageRequest: reflection.ServerReflectionRequest["messageRequest"],
    ): Promise<reflection.ServerReflectionResponse["messageResponse"] | undefined> => {
      const stream = client.serverReflectionInfo(once({ messageRequest }));
      return (await all(stream))[0]?.messageResponse;
    };
    const list = await ask({ case: "listServices", value: "" });
    expect(list?.case === "listServicesResponse" && list.value.service.map((each) => each.name)).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "observer.Observer",
      "peer.Peer",
      "skep.v1.Agent",
    ]);
    for (const symbol of ["observer.Observer", "observer.Observer.GetFlows", "flow.Flow", "flow.Tunnel.Protocol"]) {
      const file = await ask({ case: "fileContainingSymbol", value: symbol });
      if (file?.case !== "fileDescriptorResponse") throw new Error(`no file of ${symbol}`);
      const names = file.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
      expect(names[0]).toBe(symbol.startsWith("flow") ? "flow/flow.proto" : "observer/observer.proto");
      expect(names).toContain("google/protobuf/timestamp.proto");
    }
    expect((await ask({ case: "fileByFilename", value: "relay/relay.proto" }))?.case).toBe("fileDescriptorResponse");
    const missing = await ask({ case: "fileContainingSymbol", value: "no.Such" });
    expect(missing).toMatchObject({ case: "errorResponse", value: { errorCode: 5 } });
  });
});
