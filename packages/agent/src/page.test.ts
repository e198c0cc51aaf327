import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skep } from "@skep/api";
import { type RunningPage, servePage } from "./page.ts";

const folder = mkdtempSync(join(tmpdir(), "skep-page-"));
let served: RunningPage;
beforeAll(async () => {
  mkdirSync(join(folder, "page", "assets"), { recursive: true });
  mkdirSync(join(folder, "playground"));
  writeFileSync(join(folder, "page", "index.html"), "the page");
  writeFileSync(join(folder, "page", "assets", "main-1a2b.js"), "script");
  writeFileSync(join(folder, "page", ".stamp"), "hash");
  writeFileSync(join(folder, "playground", "index.html"), "the playground");
  writeFileSync(join(folder, "secret.html"), "secret");
  const files = {
    page: () => Promise.resolve(join(folder, "page")),
    playground: () => Promise.resolve(join(folder, "playground")),
  };
  served = await servePage({
    ...{ listen: "127.0.0.1:0", files },
    routes: (router) =>
      router.service(skep.Agent, { getStatus: () => create(skep.GetStatusResponseSchema, { nodeName: "endor" }) }),
  });
});
afterAll(async () => {
  await served.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: http.IncomingHttpHeaders;
}

/** With the path as it is written: `fetch` would tidy it. */
function ask(path: string, options: http.RequestOptions & { readonly body?: string } = {}): Promise<Answer> {
  const { port } = new URL(served.url);
  return new Promise((resolve, reject) => {
    const request = http.request({ host: "127.0.0.1", port, path, ...options }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (data: string) => (text += data));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    });
    request.on("error", reject).end(options.body);
  });
}

describe("the page's server", () => {
  it("serves the page and the playground, each with a policy of its own", async () => {
    const page = await ask("/?view=flows");
    expect([page.status, page.text]).toEqual([200, "the page"]);
    const policy = String(page.headers["content-security-policy"]);
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain("frame-ancestors 'none'");
    const playground = await ask("/playground/");
    expect(playground.text).toBe("the playground");
    expect(playground.headers["content-security-policy"]).toContain("'wasm-unsafe-eval'");
    expect((await ask("/assets/main-1a2b.js")).headers["cache-control"]).toContain("immutable");
  });

  it("serves nothing that is not of the page", async () => {
    for (const path of [
      "/secret.html",
      "/../secret.html",
      "/playground/../../secret.html",
      "/.stamp",
      "/%2e%2e/secret.html",
    ])
      expect((await ask(path)).status, path).toBe(404);
    expect((await ask("/", { method: "PUT" })).status).toBe(405);
  });

  it("answers the page's calls, and neither other hosts nor other origins", async () => {
    const call = { method: "POST", body: "{}" };
    const json = { "content-type": "application/json" };
    const own = await ask("/skep.v1.Agent/GetStatus", { ...call, headers: json });
    expect([own.status, JSON.parse(own.text)]).toEqual([200, { nodeName: "endor" }]);
    const foreign = { ...json, origin: "http://evil.example" };
    expect((await ask("/skep.v1.Agent/GetStatus", { ...call, headers: foreign })).status).toBe(403);
    expect((await ask("/", { headers: { host: "evil.example" } })).status).toBe(403);
  });

  it("changes nothing", async () => {
    const headers = { "content-type": "application/json" };
    const answer = await ask("/skep.v1.Agent/SetSettings", {
      method: "POST",
      headers,
      body: '{"enforcement":"never"}',
    });
    expect([answer.status, answer.text]).toEqual([403, expect.stringContaining("permission_denied")]);
  });
});
