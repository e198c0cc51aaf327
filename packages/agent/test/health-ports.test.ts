// Health check ports: whether a node has backends of a service, as load balancers before it ask.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSim } from "@skep/sim";
import { Agent, createLogger } from "../src/index.ts";

const service = (port: number): string => `apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  {type: LoadBalancer, clusterIP: 10.96.0.9, externalTrafficPolicy: Local, healthCheckNodePort: ${port}, ports: [{port: 80}]}
`;
const endpoints = (...nodes: readonly string[]): string => `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints:
${nodes.map((node, at) => `  - {addresses: [192.0.2.${at + 10}], nodeName: ${node}, conditions: {ready: ${node !== "ending"}}}`).join("\n")}
ports: [{port: 8080}]
`;

interface Heard {
  readonly status: number;
  readonly weight: string;
  readonly body: unknown;
}

function ask(port: number): Promise<Heard | string> {
  return new Promise((resolve) => {
    const call = http.get({ host: "127.0.0.1", port, agent: false, timeout: 20_000 }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (text += chunk));
      response.on("end", () => {
        const weight = String(response.headers["x-load-balancing-endpoint-weight"]);
        resolve({ status: response.statusCode ?? 0, weight, body: JSON.parse(text) });
      });
    });
    call.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

/** Beside the ports that systems give away; another one for each process that tests at the same time. */
let nextPort = 61_000 + (process.pid % 4000);

/** One that nobody has; it is held while `use` runs. */
async function withPort<T>(use: (port: number) => T | Promise<T>): Promise<T> {
  for (let tries = 0; tries < 500; tries++) {
    const holder = createServer();
    const port = nextPort++;
    const isFree = await new Promise<boolean>((resolve) => {
      holder.on("error", () => resolve(false)).listen(port, () => resolve(true));
    });
    if (!isFree) continue;
    try {
      return await use(port);
    } finally {
      await new Promise((resolve) => holder.close(resolve));
    }
  }
  throw new Error("no port is free");
}

describe("health check ports", () => {
  let folder: string;
  let agent: Agent;
  const lines: string[] = [];
  const put = (name: string, text: string): void => writeFileSync(join(folder, "policies", name), text);

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-health-"));
    mkdirSync(join(folder, "policies"));
    lines.length = 0;
    const machine = openSim();
    agent = new Agent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
      ...{ nodeName: "here", healthCheckPorts: true },
      log: createLogger({ write: (line) => lines.push(line), now: () => machine.clock.now(), format: "json" }),
    });
  });
  afterEach(() => {
    agent.datapath.destroy();
    agent.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const until = async (port: number, wanted: (heard: Heard | string) => boolean): Promise<Heard | string> => {
    let heard = await ask(port);
    for (let look = 0; look < 400 && !wanted(heard); look++) {
      await new Promise((resolve) => setTimeout(resolve, 25));
      heard = await ask(port);
    }
    return heard;
  };
  const body = (localEndpoints: number): object => ({ service: { namespace: "default", name: "web" }, localEndpoints });

  it("tell the node's own backends that are active, and nothing when the service is gone", async () => {
    const port = await withPort((free) => free);
    put("service.yaml", service(port));
    put("slice.yaml", endpoints("here", "there", "here"));
    agent.rescan();
    expect(await until(port, (heard) => typeof heard !== "string")).toEqual({
      status: 200,
      weight: "2",
      body: body(2),
    });
    put("slice.yaml", endpoints("there", "ending"));
    agent.rescan();
    expect(await ask(port)).toEqual({ status: 503, weight: "0", body: body(0) });
    rmSync(join(folder, "policies", "service.yaml"));
    agent.rescan();
    expect(await until(port, (heard) => heard === "ECONNREFUSED")).toBe("ECONNREFUSED");
  });

  it("a port that is taken is told once, and served when it is free", async () => {
    const port = await withPort(async (taken) => {
      put("service.yaml", service(taken));
      put("slice.yaml", endpoints("here"));
      agent.rescan();
      for (let look = 0; look < 400 && !lines.some((line) => line.includes("EADDRINUSE")); look++)
        await new Promise((resolve) => setTimeout(resolve, 25));
      return taken;
    });
    expect(lines.filter((line) => line.includes("EADDRINUSE"))).toHaveLength(1);
    put("slice.yaml", endpoints("here", "here"));
    agent.rescan();
    expect(await until(port, (heard) => typeof heard !== "string")).toMatchObject({ status: 200, weight: "2" });
  });
});
