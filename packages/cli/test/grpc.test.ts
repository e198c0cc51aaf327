import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, type DescMethod, type DescService, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { flow, health, observer, peer, reflection, reflectionAlpha, skep } from "@skep/api";
import { flowRoutes, Observer, observerRoutes, recordOfFlow } from "@skep/flows";
import { certificateName, type Served, serve } from "../src/serve.ts";

const folder = mkdtempSync(join(tmpdir(), "skep-grpc-"));
const services = [
  observer.Observer,
  peer.Peer,
  health.Health,
  reflection.ServerReflection,
  reflectionAlpha.ServerReflection,
  skep.Flows,
];

const flows = new Observer({ nodeName: "default/endor", version: "1.2.3", now: () => 5_000_000_000n });
for (const uuid of ["a", "b"])
  flows.add(recordOfFlow(create(flow.FlowSchema, { uuid, source: { namespace: "n", clusterName: "c" } })));
flows.addLoss(flow.LostEventSource.PERF_EVENT_RING_BUFFER, 3n);
flows.addAgentEvent(create(flow.AgentEventSchema, { type: flow.AgentEventType.AGENT_STARTED }));

/** A client that knows nothing but the descriptors, as one made by protoc would. */
function clientOf(service: DescService, target: string, credentials: grpc.ChannelCredentials): grpc.Client {
  const definition = Object.fromEntries(
    service.methods.map((method): [string, grpc.MethodDefinition<Message, Message>] => [
      method.localName,
      {
        path: `/${service.typeName}/${method.name}`,
        requestStream: method.methodKind === "bidi_streaming" || method.methodKind === "client_streaming",
        responseStream: method.methodKind === "bidi_streaming" || method.methodKind === "server_streaming",
        requestSerialize: (message) => Buffer.from(toBinary(method.input, message)),
        requestDeserialize: (bytes) => fromBinary(method.input, bytes),
        responseSerialize: (message) => Buffer.from(toBinary(method.output, message)),
        responseDeserialize: (bytes) => fromBinary(method.output, bytes),
      },
    ]),
  );
  const Client = grpc.makeGenericClientConstructor(definition, service.typeName);
  return new Client(target, credentials, { "grpc.ssl_target_name_override": "relay.test" });
}

interface Answer {
  readonly messages: Message[];
  readonly code: grpc.status;
}

type Call = (
  input: Message,
  ...rest: unknown[]
) => grpc.ClientReadableStream<Message> & grpc.ClientDuplexStream<Message, Message>;

/** Calls a method; one that would go on is cancelled after `take` messages. */
function call(
  client: grpc.Client,
  method: DescMethod,
  ask: { input: Readonly<Record<string, unknown>>; take?: number },
): Promise<Answer> {
  const input = create(method.input, ask.input);
  const found = Reflect.get(client, method.localName) as Call;
  return new Promise((resolve) => {
    const messages: Message[] = [];
    if (method.methodKind === "unary") {
      found.call(client, input, (error: grpc.ServiceError | null, value?: Message) =>
        resolve({ messages: value ? [value] : [], code: error ? error.code : grpc.status.OK }),
      );
      return;
    }
    const isDuplex = method.methodKind === "bidi_streaming";
    const stream = isDuplex ? (found as unknown as () => ReturnType<Call>).call(client) : found.call(client, input);
    stream.on("data", (message: Message) => {
      messages.push(message);
      if (messages.length === ask.take) stream.cancel();
    });
    stream.on("error", (error: grpc.ServiceError) => resolve({ messages, code: error.code }));
    stream.on("end", () => resolve({ messages, code: grpc.status.OK }));
    if (!isDuplex) return;
    stream.write(input);
    stream.end();
  });
}

const OK = grpc.status.OK;
const serving = [{ status: health.HealthCheckResponse_ServingStatus.SERVING }];
const list = { messageRequest: { case: "listServices", value: "" } };
const listed = [{ messageResponse: { case: "listServicesResponse" } }];

/** What each method of each service is asked, and answers. */
const asked: Readonly<
  Record<string, { input: Record<string, unknown>; take?: number; code?: grpc.status; messages: object[] }>
> = {
  "observer.Observer/GetFlows": {
    input: { number: 10n },
    messages: [
      { responseTypes: { case: "flow", value: { uuid: "a" } }, nodeName: "" },
      { responseTypes: { case: "flow", value: { uuid: "b" } } },
      { responseTypes: { case: "lostEvents", value: { numEventsLost: 3n } } },
    ],
  },
  "observer.Observer/GetAgentEvents": {
    input: {},
    messages: [{ agentEvent: { type: flow.AgentEventType.AGENT_STARTED } }],
  },
  "observer.Observer/GetDebugEvents": { input: {}, messages: [] },
  "observer.Observer/GetNodes": { input: {}, messages: [{ nodes: [{ name: "default/endor" }] }] },
  "observer.Observer/GetNamespaces": { input: {}, messages: [{ namespaces: [{ cluster: "c", namespace: "n" }] }] },
  "observer.Observer/ServerStatus": { input: {}, messages: [{ seenFlows: 2n, version: "1.2.3" }] },
  "peer.Peer/Notify": { input: {}, take: 1, code: grpc.status.CANCELLED, messages: [{ name: "default/endor" }] },
  "grpc.health.v1.Health/Check": { input: {}, messages: serving },
  "grpc.health.v1.Health/Watch": { input: {}, take: 1, code: grpc.status.CANCELLED, messages: serving },
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": { input: list, messages: listed },
  "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": { input: list, messages: listed },
  "skep.v1.Flows/GetServiceMap": { input: {}, messages: [{ flows: 2n, lost: 3n }] },
  "skep.v1.Flows/GetTimeline": { input: { buckets: 2 }, messages: [{ buckets: [{}, {}] }] },
  "skep.v1.Flows/GetHistory": { input: {}, messages: [{ directory: "" }] },
  "skep.v1.Flows/QueryHistory": { input: { sql: "SELECT 1" }, code: grpc.status.FAILED_PRECONDITION, messages: [] },
};

const methods = services.flatMap((service) =>
  service.methods.map((method) => [`${service.typeName}/${method.name}`, service, method] as const),
);

const routesOf =
  (tlsServerName?: string): Parameters<typeof serve>[1] =>
  (router) => {
    const name = tlsServerName === undefined ? {} : { tlsServerName };
    observerRoutes(router, flows, { address: "here", services: [skep.Flows], ...name });
    flowRoutes(router, flows, { now: () => 5_000_000_000n });
  };

function suite(open: () => { readonly target: string; readonly credentials: grpc.ChannelCredentials }): void {
  it.each(methods)("%s", async (name, service, method) => {
    const wanted = asked[name];
    if (!wanted) throw new Error(`nothing is known of ${name}`);
    const { target, credentials } = open();
    const client = clientOf(service, target, credentials);
    try {
      const { messages, code } = await call(client, method, wanted);
      expect({ code, messages }).toMatchObject({ code: wanted.code ?? OK, messages: wanted.messages });
    } finally {
      client.close();
    }
  });

  const getFlows = observer.Observer.methods.find(({ name }) => name === "GetFlows")!;

  it.each([
    ["an allow list", { whitelist: [{ uuid: ["b"] }] }, ["b", "lost 3"]],
    ["a deny list", { blacklist: [{ uuid: ["b"] }] }, ["a", "lost 3"]],
    ["two fields of one filter", { whitelist: [{ uuid: ["a", "b"], sourcePod: ["n/"] }] }, ["a", "b", "lost 3"]],
    ["an expression", { whitelist: [{ experimental: { celExpression: ["_flow.uuid == 'a'"] } }] }, ["a", "lost 3"]],
    ["the first", { number: 1n, first: true }, ["a"]],
    ["the last", { number: 1n }, ["b", "lost 3"]],
    ["a time", { since: { seconds: 1n, nanos: 0 } }, ["lost 3"]],
    ["a field mask", { number: 1n, first: true, fieldMask: { paths: ["source"] } }, [""]],
  ])("GetFlows with %s", async (_what, input, expected) => {
    const { target, credentials } = open();
    const client = clientOf(observer.Observer, target, credentials);
    const { code, messages } = await call(client, getFlows, { input });
    client.close();
    expect(code).toBe(OK);
    const seen = (messages as observer.GetFlowsResponse[]).map(({ responseTypes: { case: kind, value } }) =>
      kind === "flow" ? value.uuid : kind === "lostEvents" ? `lost ${value.numEventsLost}` : kind,
    );
    expect(seen).toEqual(expected);
  });

  it("refuses a filter that cannot be", async () => {
    const { target, credentials } = open();
    const client = clientOf(observer.Observer, target, credentials);
    const { code } = await call(client, getFlows, { input: { whitelist: [{ sourceIp: ["x"] }] } });
    client.close();
    expect(code).toBe(grpc.status.INVALID_ARGUMENT);
  });
}

describe("a generic gRPC client over a unix socket", () => {
  let served: Served;
  const path = `unix:${join(folder, "s.sock")}`;
  beforeAll(async () => {
    served = await serve({ listen: path }, routesOf());
  });
  afterAll(() => served.close());
  suite(() => ({ target: path, credentials: grpc.credentials.createInsecure() }));
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
if (!hasOpenssl) console.warn("skipped: no openssl to make certificates with");

describe.skipIf(!hasOpenssl)("a generic gRPC client over TCP with TLS", () => {
  let served: Served;
  const [cert, key] = [join(folder, "server.crt"), join(folder, "server.key")];
  beforeAll(async () => {
    const kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const subject = ["-subj", "/CN=relay.test", "-addext", "subjectAltName=DNS:relay.test"];
    const made = spawnSync("openssl", ["req", "-x509", ...kind, ...subject, "-keyout", key, "-out", cert]);
    expect(made.status, String(made.stderr)).toBe(0);
    const name = certificateName(cert) ?? "";
    served = await serve({ listen: "127.0.0.1:0", tlsCertFile: cert, tlsKeyFile: key }, routesOf(name));
  });
  afterAll(async () => {
    await served?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  suite(() => ({ target: served.address, credentials: grpc.credentials.createSsl(readFileSync(cert)) }));

  it("is told by the peer service whom to expect in the certificate", async () => {
    const client = clientOf(peer.Peer, served.address, grpc.credentials.createSsl(readFileSync(cert)));
    const { messages } = await call(client, peer.Peer.methods[0]!, { input: {}, take: 1 });
    client.close();
    expect(messages).toMatchObject([{ name: "default/endor", tls: { serverName: "relay.test" } }]);
  });
});
