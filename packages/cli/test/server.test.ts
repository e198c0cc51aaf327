import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import http2 from "node:http2";
import type net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { flow, observer } from "@skep/api";
import { Observer, observerRoutes, Peers, recordOfFlow } from "@skep/flows";
import { main } from "../src/program.ts";
import { skep } from "./in-process.ts";

const folder = mkdtempSync(join(tmpdir(), "skep-server-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const flows = new Observer({ nodeName: "default/endor", version: "0", now: () => 0n });
flows.add(recordOfFlow(create(flow.FlowSchema, { uuid: "u", nodeName: "default/endor", Summary: "one" })));
const handler = connectNodeAdapter({ routes: (router) => observerRoutes(router, flows) });

interface Served {
  readonly address: string;
  close(): Promise<void>;
}

async function listen(server: http2.Http2Server | http2.Http2SecureServer): Promise<Served> {
  const sessions = new Set<http2.ServerHttp2Session>();
  server.on("session", (session: http2.ServerHttp2Session) => sessions.add(session));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    close: () => {
      for (const session of sessions) session.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

describe("a server on TCP", () => {
  let served: Served;
  beforeAll(async () => {
    served = await listen(http2.createServer(handler));
  });
  afterAll(() => served.close());

  it("is observed like the agent", async () => {
    expect((await skep("observe", "--server", served.address)).stdout).toContain("(one)\n");
    expect((await skep("list", "nodes", "--server", `tcp://${served.address}`)).stdout).toContain("default/endor");
  });

  it("is told from none", async () => {
    expect(await skep("observe", "--server", "127.0.0.1:1")).toMatchObject({
      status: 1,
      stderr: "skep: nothing answers at 127.0.0.1:1\n",
    });
    expect(await skep("observe", "--server", "a b")).toMatchObject({ status: 2 });
    expect(await skep("observe", "--server", "unix:///nonexistent.sock")).toMatchObject({ status: 1 });
  });

  it("speaks gRPC as it is on the wire", async () => {
    const session = http2.connect(`http://${served.address}`);
    try {
      const request = toBinary(observer.GetFlowsRequestSchema, create(observer.GetFlowsRequestSchema, { number: 5n }));
      const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, request.length]), request]);
      const stream = session.request({
        ":method": "POST",
        ":path": "/observer.Observer/GetFlows",
        "content-type": "application/grpc",
        te: "trailers",
      });
      const chunks: Buffer[] = [];
      let trailers: http2.IncomingHttpHeaders = {};
      stream.on("trailers", (headers) => (trailers = headers));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.end(frame);
      await new Promise((resolve) => stream.on("close", resolve));
      expect(trailers["grpc-status"]).toBe("0");
      const body = Buffer.concat(chunks);
      expect(body.readUInt32BE(1)).toBe(body.length - 5);
      const response = fromBinary(observer.GetFlowsResponseSchema, body.subarray(5));
      expect(response.responseTypes.value).toMatchObject({ uuid: "u", Summary: "one" });
    } finally {
      session.close();
    }
  });
});

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;
if (!hasOpenssl) console.warn("skipped: no openssl to make certificates with");

describe.skipIf(!hasOpenssl)("a server with TLS", () => {
  let served: Served;
  const file = (name: string): string => join(folder, name);

  function certificate(name: string): { key: Buffer; cert: Buffer } {
    const subject = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
    const out = ["-keyout", file(`${name}.key`), "-out", file(`${name}.crt`)];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    const made = spawnSync("openssl", ["req", "-x509", ...key, ...subject, ...out], { encoding: "utf8" });
    expect(made.status, made.stderr).toBe(0);
    return { key: readFileSync(file(`${name}.key`)), cert: readFileSync(file(`${name}.crt`)) };
  }

  beforeAll(async () => {
    const server = certificate("relay.test");
    const client = certificate("client.test");
    served = await listen(
      http2.createSecureServer({ ...server, ca: client.cert, requestCert: true, rejectUnauthorized: true }, handler),
    );
  });
  afterAll(() => served?.close());

  const ask = (...args: string[]): ReturnType<typeof skep> =>
    skep("observe", "--server", `tls://${served.address}`, ...args);
  const identity = (): string[] => [
    ...["--tls-client-cert-file", file("client.test.crt")],
    ...["--tls-client-key-file", file("client.test.key")],
  ];
  const trust = (): string[] => ["--tls-ca-cert-file", file("relay.test.crt"), "--tls-server-name", "relay.test"];

  it("is checked, and checks the client", async () => {
    expect((await ask(...trust(), ...identity())).stdout).toContain("(one)\n");
    expect((await ask("--tls-allow-insecure", ...identity())).stdout).toContain("(one)\n");
  });

  it("that is not trusted is refused", async () => {
    const { status, stdout } = await ask(...identity());
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(await ask(...trust())).toMatchObject({ status: 1, stdout: "" });
    expect(await ask("--tls-ca-cert-file", file("none"))).toMatchObject({ status: 2 });
    expect(await ask("--tls-client-cert-file", file("client.test.crt"))).toMatchObject({ status: 2 });
  });
});

describe("skep relay", () => {
  it("serves several nodes on one address, until it is told to end", async () => {
    const served = await listen(http2.createServer(handler));
    const socket = join(folder, "relay.sock");
    const peers = ["--peer", `a=${served.address}`, "--peer", "b=127.0.0.1:1"];
    const relaying = main(["relay", ...peers, "--listen", `unix://${socket}`]);
    while (!existsSync(socket)) await new Promise((resolve) => setTimeout(resolve, 5));
    const { stdout, stderr } = await skep("observe", "--server", `unix://${socket}`);
    expect(stdout).toContain("(one)\n");
    expect(stderr).toMatch(/b unavailable: /);
    process.emit("SIGTERM", "SIGTERM");
    expect(await relaying).toBe(0);
    await served.close();
    expect(existsSync(socket)).toBe(false);
  });

  it("finds its nodes by a peer service", async () => {
    const node = await listen(http2.createServer(handler));
    const peers = new Peers([
      { name: "a", address: node.address },
      { name: "b", address: "" },
    ]);
    const service = await listen(
      http2.createServer(connectNodeAdapter({ routes: (router) => observerRoutes(router, flows, { peers }) })),
    );
    const socket = join(folder, "followed.sock");
    const relaying = main(["relay", "--peer-service", service.address, "--listen", `unix://${socket}`]);
    try {
      const nodes = async (): Promise<string> =>
        (await skep("list", "nodes", "--server", `unix://${socket}`, "-o", "json")).stdout;
      await vi.waitFor(async () => expect(await nodes()).toContain('"a"'), { timeout: 60_000, interval: 50 });
      const { stdout, stderr } = await skep("observe", "--server", `unix://${socket}`);
      expect(stdout).toContain("(one)\n");
      expect(stderr).toMatch(/b unavailable: .*no address of b/);
      peers.set([]);
      await vi.waitFor(async () => expect(await nodes()).not.toContain('"a"'), { timeout: 60_000, interval: 50 });
    } finally {
      process.emit("SIGTERM", "SIGTERM");
      expect(await relaying).toBe(0);
      await Promise.all([node.close(), service.close()]);
    }
  }, 120_000);

  it("refuses what cannot be", async () => {
    expect(await skep("relay")).toMatchObject({
      status: 2,
      stderr: expect.stringContaining("--peer-service") as string,
    });
    expect(await skep("relay", "--peer", "nothing")).toMatchObject({ status: 2 });
    expect(await skep("relay", "--peer", "a=x", "--peer", "a=y")).toMatchObject({ status: 2 });
    expect(await skep("relay", "--peer", "a=x", "--listen", "nowhere")).toMatchObject({ status: 2 });
    expect(await skep("relay", "--peer", "a=x", "--listen-tls-key-file", "k")).toMatchObject({ status: 2 });
    const served = await listen(http2.createServer(handler));
    expect(await skep("relay", "--peer", "a=x", "--listen", served.address)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("another server is there") as string,
    });
    await served.close();
  });
});
