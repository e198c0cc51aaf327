// Hubble's API of an agent on a port with TLS, as a generic gRPC client and as a relay of several nodes see it.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import * as grpc from "@grpc/grpc-js";
import { create, type DescService, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type RunningAgent, startAgent, createLogger } from "@skep/agent";
import { flow, health, observer, peer, reflection, skep as api } from "@skep/api";
import { Observer, observerRoutes, recordOfFlow, type Served, serveRoutes } from "@skep/flows";
import { openSim } from "@skep/sim";
import { hubbleOf } from "../src/commands/up-hubble.ts";
import { connectServer } from "../src/client.ts";
import { main } from "../src/program.ts";
import { Authority, type CertificateFiles, hasOpenssl } from "./certificates.ts";
import { skep } from "./in-process.ts";

const PATIENCE = { timeout: 60_000, interval: 50 };
const folder = mkdtempSync(join(tmpdir(), "skep-hubble-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const nodeObject = (name: string, ip: string): string =>
  JSON.stringify({
    ...{ apiVersion: "cilium.io/v2", kind: "CiliumNode", metadata: { name } },
    spec: { addresses: [{ type: "InternalIP", ip }] },
  });

interface Answer {
  readonly messages: readonly Message[];
  readonly code: grpc.status;
}

interface Ask {
  readonly credentials: grpc.ChannelCredentials;
  readonly name?: string;
  readonly input?: Record<string, unknown>;
}

/** Asks a method as a client made from the descriptors would; a stream is left after its first message. */
function call(target: string, service: DescService, method: string, { credentials, name, input = {} }: Ask) {
  const found = service.methods.find((each) => each.name === method)!;
  const options = name === undefined ? {} : { "grpc.ssl_target_name_override": name };
  const client = new grpc.Client(target, credentials, options);
  const bytes = (value: Message): Buffer => Buffer.from(toBinary(found.input, value));
  const messageOf = (value: Buffer): Message => fromBinary(found.output, value);
  const path = `/${service.typeName}/${method}`;
  const message = create(found.input, input);
  const answer = new Promise<Answer>((resolve) => {
    if (found.methodKind === "unary") {
      client.makeUnaryRequest(path, bytes, messageOf, message, (error, value) =>
        resolve({ messages: value ? [value] : [], code: error ? error.code : grpc.status.OK }),
      );
      return;
    }
    const stream =
      found.methodKind === "bidi_streaming"
        ? client.makeBidiStreamRequest(path, bytes, messageOf)
        : client.makeServerStreamRequest(path, bytes, messageOf, message);
    const messages: Message[] = [];
    stream.on("data", (each: Message) => {
      messages.push(each);
      stream.cancel();
    });
    stream.on("error", (error: grpc.ServiceError) =>
      resolve({ messages, code: messages.length > 0 ? grpc.status.OK : error.code }),
    );
    stream.on("end", () => resolve({ messages, code: grpc.status.OK }));
    if (stream instanceof grpc.Client) return;
    if ("write" in stream) (stream as grpc.ClientDuplexStream<Message, Message>).write(message);
  });
  return answer.finally(() => client.close());
}

if (!hasOpenssl) console.warn("skipped: no openssl to make certificates with");

describe.skipIf(!hasOpenssl)("Hubble's API on a port with TLS", () => {
  const nameOf = (node: string): string => `${node}.kessel.hubble-grpc.cilium.io`;
  const machine = openSim();
  const logged: string[] = [];
  let authority: Authority;
  let own: CertificateFiles;
  let client: CertificateFiles;
  let running: RunningAgent;
  let other: Served;
  const otherFlows = new Observer({ nodeName: "kessel/h1", version: "1", now: () => 0n });

  const credentials = ({ cert, key }: CertificateFiles = client): grpc.ChannelCredentials =>
    grpc.credentials.createSsl(...[authority.cert, key, cert].map((file) => readFileSync(file)));
  const asks = (service: DescService, method: string, more: Partial<Ask> = {}): Promise<Answer> =>
    call(running.hubble ?? "", service, method, { credentials: credentials(), name: nameOf("h0"), ...more });

  beforeAll(async () => {
    authority = new Authority(folder, "ca");
    own = authority.sign(nameOf("h0"));
    client = authority.sign("client.test");
    const theirs = authority.sign(nameOf("h1"));
    mkdirSync(join(folder, "documents"));
    // One port on two addresses: the Peer service tells one for all nodes.
    for (let tries = 0; ; tries++) {
      const tlsFiles = { ...theirs, clientCas: [authority.cert] };
      other = await serveRoutes({ at: { host: "127.0.0.3", port: 0 }, tls: tlsFiles }, (router) =>
        observerRoutes(router, otherFlows),
      );
      try {
        running = await startAgent({
          ...{ machine, directory: join(folder, "documents"), run: folder, state: join(folder, "state"), watch: false },
          ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
          ...hubbleOf({
            ...{ clusterName: "kessel", hubbleListenAddress: `127.0.0.2:${other.port}` },
            ...{ hubbleTlsCertFile: own.cert, hubbleTlsKeyFile: own.key, hubbleTlsClientCaFiles: [authority.cert] },
          }),
          nodeName: "h0",
          log: createLogger({ write: (line) => logged.push(line), now: () => machine.clock.now(), format: "json" }),
        });
        break;
      } catch (error) {
        await other.close();
        if (tries === 20 || !String(error).includes("EADDRINUSE")) throw error;
      }
    }
    const flowOf = create(flow.FlowSchema, { uuid: "u", nodeName: "kessel/h1", time: { seconds: 1n }, Summary: "one" });
    otherFlows.add(recordOfFlow(flowOf));
  }, 120_000);
  afterAll(async () => {
    running?.agent.datapath.destroy();
    await Promise.all([running?.close(), other?.close()]);
  });

  it.each([
    [observer.Observer, "GetNodes", { nodes: [{ name: "kessel/h0" }] }],
    [observer.Observer, "GetNamespaces", {}],
    [observer.Observer, "ServerStatus", { maxFlows: 65_535n }],
    [observer.Observer, "GetAgentEvents", { nodeName: "kessel/h0" }],
    [peer.Peer, "Notify", { name: "kessel/h0", tls: { serverName: nameOf("h0") } }],
    [health.Health, "Check", { status: health.HealthCheckResponse_ServingStatus.SERVING }],
    [reflection.ServerReflection, "ServerReflectionInfo", { messageResponse: { case: "listServicesResponse" } }],
  ])("answers a client that it knows: %s %s", async (service, method, expected) => {
    const isReflection = service === reflection.ServerReflection;
    const input = isReflection ? { messageRequest: { case: "listServices", value: "" } } : {};
    const { code, messages } = await asks(service, method, { input });
    expect({ code, message: messages[0] }).toMatchObject({ code: grpc.status.OK, message: expected });
  });

  it("answers GetFlows, and debug events, of which there are none", async () => {
    expect(await asks(observer.Observer, "GetFlows", { input: { number: 5n } })).toMatchObject({ code: 0 });
    expect(await asks(observer.Observer, "GetDebugEvents")).toEqual({ code: 0, messages: [] });
  });

  it("serves nothing that changes the agent, nor its own services", async () => {
    for (const [service, method] of [
      [api.Agent, "SetSettings"],
      [api.Agent, "GetStatus"],
      [api.Flows, "QueryHistory"],
    ] as const)
      expect(await asks(service, method)).toMatchObject({ code: grpc.status.UNIMPLEMENTED });
  });

  it("refuses clients that it does not know, old TLS and none", async () => {
    const rogue = new Authority(folder, "rogue").sign("rogue.test");
    const strangers = [
      grpc.credentials.createInsecure(),
      grpc.credentials.createSsl(readFileSync(authority.cert)),
      credentials(rogue),
    ];
    for (const each of strangers)
      expect(await asks(observer.Observer, "ServerStatus", { credentials: each })).toMatchObject({
        code: grpc.status.UNAVAILABLE,
      });
    const [host, port] = (running.hubble ?? "").split(":");
    const old = tls.connect({
      ...{ host, port: Number(port), servername: nameOf("h0"), maxVersion: "TLSv1.1", minVersion: "TLSv1" },
      ...{ ca: readFileSync(authority.cert), ciphers: "DEFAULT@SECLEVEL=0" },
    });
    const said = await new Promise<string>((resolve) => {
      old.on("secureConnect", () => resolve("connected"));
      old.on("error", () => resolve("refused"));
    });
    old.destroy();
    expect(said).toBe("refused");
  });

  it("names all nodes of the cluster to a relay, which finds and checks them", async () => {
    writeFileSync(
      join(folder, "documents", "nodes.yaml"),
      [nodeObject("h0", "127.0.0.2"), nodeObject("h1", "127.0.0.3")].join("\n---\n"),
    );
    running.agent.rescan();
    running.agent.rescan();
    const socket = join(folder, "relay.sock");
    // What a killed relay leaves is in nobody's way.
    const relaying = main([
      ...["relay", "--peer-service", `tls://${running.hubble}`, "--listen", `unix://${socket}`],
      ...["--tls-ca-cert-file", authority.cert, "--tls-server-name", nameOf("h0")],
      ...["--tls-client-cert-file", client.cert, "--tls-client-key-file", client.key],
    ]);
    try {
      await vi.waitFor(() => expect(existsSync(socket)).toBe(true), PATIENCE);
      const nodes = async (): Promise<Record<string, unknown>[]> => {
        const { stdout } = await skep("list", "nodes", "--server", `unix://${socket}`, "-o", "json");
        return JSON.parse(stdout) as Record<string, unknown>[];
      };
      await vi.waitFor(async () => {
        const found = await nodes();
        expect(found).toMatchObject([
          {
            name: "kessel/h0",
            state: "NODE_CONNECTED",
            address: running.hubble,
            tls: { enabled: true, server_name: nameOf("h0") },
          },
          { name: "kessel/h1", state: "NODE_CONNECTED", address: `127.0.0.3:${other.port}` },
        ]);
      }, PATIENCE);
      expect((await skep("observe", "--server", `unix://${socket}`)).stdout).toContain("(one)\n");
      const relayed = connectServer(`unix://${socket}`, { run: "" });
      const named: string[] = [];
      for await (const { name, address, tls: each } of relayed.peer.notify({})) {
        named.push(`${name} ${address} ${each?.serverName}`);
        if (named.length === 2) break;
      }
      relayed.close();
      expect(named).toEqual([
        `kessel/h0 ${running.hubble} ${nameOf("h0")}`,
        `kessel/h1 127.0.0.3:${other.port} ${nameOf("h1")}`,
      ]);
    } finally {
      process.emit("SIGTERM", "SIGTERM");
      expect(await relaying).toBe(0);
    }
  }, 180_000);

  it("takes a certificate that is renewed, and stays with the old one while the new one is none", async () => {
    const serial = (): Promise<string> =>
      new Promise((resolve, reject) => {
        const [host, port] = (running.hubble ?? "").split(":");
        const files = {
          ca: readFileSync(authority.cert),
          cert: readFileSync(client.cert),
          key: readFileSync(client.key),
        };
        const socket = tls.connect({ host, port: Number(port), servername: nameOf("h0"), ...files }, () => {
          resolve(socket.getPeerCertificate().serialNumber);
          socket.destroy();
        });
        socket.once("error", reject);
      });
    const before = await serial();
    const good = readFileSync(own.cert);
    writeFileSync(own.cert, "none");
    await vi.waitFor(() => expect(logged.join("\n")).toContain("the old certificate of Hubble's API stays"), PATIENCE);
    expect(await serial()).toBe(before);
    writeFileSync(own.cert, good);
    authority.sign(nameOf("h0"));
    await vi.waitFor(async () => expect(await serial()).not.toBe(before), PATIENCE);
  }, 180_000);
});

describe("where skep up may serve Hubble's API", () => {
  const start = (flags: Parameters<typeof hubbleOf>[0]): Promise<unknown> =>
    startAgent({
      ...{ machine: openSim(), directory: folder, run: join(folder, "none"), state: join(folder, "s"), watch: false },
      ...{ pins: "/sys/fs/bpf/none", cgroup: "none", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
      ...hubbleOf(flags),
      log: createLogger({ write: () => undefined, now: () => 0, format: "json" }),
    });

  it.each([
    [":4244", /:4244 needs a certificate/],
    ["0.0.0.0:4244", /beyond loopback it is served with TLS only/],
    ["[::]:4244", /TLS only/],
    ["192.0.2.1:4244", /TLS only/],
    ["4244", /is no address/],
    ["127.0.0.1:99999", /is no address/],
  ])("is told for %s", async (hubbleListenAddress, message) => {
    await expect(start({ hubbleListenAddress })).rejects.toThrow(message);
    await expect(start({ hubbleListenAddress, hubbleDisableTls: true })).rejects.toThrow(message);
  });

  it.each([
    [{ hubbleTlsCertFile: "c" }, /--hubble-listen-address is missing/],
    [{ hubbleListenAddress: ":1", hubbleTlsKeyFile: "k" }, /go together/],
    [{ hubbleListenAddress: ":1", hubbleTlsClientCaFiles: ["a,b"] }, /own certificate/],
    [{ clusterName: "No_Cluster" }, /32 lower-case/],
    [{ clusterName: "a".repeat(33) }, /32 lower-case/],
  ])("%o cannot be", (flags, message) => {
    expect(() => hubbleOf(flags)).toThrow(message);
  });

  it("takes certificates with commas between", () => {
    const flags = { hubbleListenAddress: ":1", hubbleTlsCertFile: "/c", hubbleTlsKeyFile: "/k" };
    const tlsFiles = { cert: "/c", key: "/k", clientCas: ["/a", "/b", "/d"] };
    expect(hubbleOf({ ...flags, hubbleTlsClientCaFiles: ["/a,/b", "/d"] })).toEqual({
      hubble: { listen: ":1", tls: tlsFiles },
    });
  });
});
