import { createClient, Code } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { flow, observer, skep } from "@skep/api";
import { flowRoutes, Observer, observerRoutes, recordOfFlow } from "@skep/flows";
import { ApiListenError, type LoopbackServer, serveLoopback } from "./loopback.ts";

const flows = new Observer({ nodeName: "default/endor", version: "1", now: () => 0n });
flows.add(recordOfFlow(create(flow.FlowSchema, { uuid: "u" })));

let served: LoopbackServer;
beforeAll(async () => {
  served = await serveLoopback(
    { listen: "127.0.0.1:0", page: (_request, response) => void response.end("the page\n") },
    (router) => {
      observerRoutes(router, flows);
      flowRoutes(router, flows, { now: () => 0n });
      router.service(skep.Agent, { getStatus: () => ({ version: "1" }), setAudit: () => ({}) });
    },
  );
});
afterAll(() => served.close());

describe("the API on loopback", () => {
  it.each([
    ["Connect", createConnectTransport],
    ["gRPC-web", createGrpcWebTransport],
  ] as const)("speaks %s: flows, the map, the agent", async (_name, transportOf) => {
    const transport = transportOf({ baseUrl: `http://${served.address}`, httpVersion: "1.1" });
    const seen: unknown[] = [];
    for await (const { responseTypes } of createClient(observer.Observer, transport).getFlows({}))
      seen.push(responseTypes.value);
    expect(seen).toMatchObject([{ uuid: "u" }]);
    for await (const map of createClient(skep.Flows, transport).getServiceMap({})) expect(map.flows).toBe(1n);
    const agent = createClient(skep.Agent, transport);
    expect(await agent.getStatus({})).toMatchObject({ version: "1" });
    await expect(agent.setAudit({ endpoint: "1" })).rejects.toMatchObject({ code: Code.PermissionDenied });
  });

  it("serves the page, to its own origin alone", async () => {
    const url = `http://${served.address}/`;
    expect(await (await fetch(url)).text()).toBe("the page\n");
    expect((await fetch(url, { headers: { origin: `http://${served.address}` } })).status).toBe(200);
    expect((await fetch(url, { headers: { origin: "http://evil.example" } })).status).toBe(403);
    expect(await statusFor("evil.example")).toBe(403);
  });

  it("listens on loopback alone", async () => {
    const listen = (at: string): Promise<unknown> => serveLoopback({ listen: at }, () => undefined);
    await expect(listen("0.0.0.0:1")).rejects.toThrow(/the API is served on loopback only/);
    await expect(listen("nowhere")).rejects.toBeInstanceOf(ApiListenError);
    await expect(listen(served.address)).rejects.toThrow(/cannot be served on/);
  });
});

/** With a Host header, which fetch does not let one set. */
async function statusFor(host: string): Promise<number | undefined> {
  const { get } = await import("node:http");
  return new Promise((resolve, reject) => {
    const asked = get(`http://${served.address}/`, { headers: { host } }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    asked.on("error", reject);
  });
}
