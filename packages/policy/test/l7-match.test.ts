import { describe, expect, it } from "vitest";
import { allowsRequest, generalizePaths, matchesDns, parseRequest, type L7Request } from "../src/index.ts";

describe("patterns of DNS names", () => {
  it.each([
    ["*", "example.com", true],
    ["*", "a.b.c.d", true],
    ["*.cilium.io", "www.cilium.io", true],
    ["*.cilium.io", "blog.cilium.io.", true],
    ["*.cilium.io", "cilium.io", false],
    ["*.cilium.io", "a.b.cilium.io", false],
    ["*.cilium.io", "google.com", false],
    ["*cilium.io", "cilium.io", true],
    ["*cilium.io", "sub-cilium.io", true],
    ["*cilium.io", "www.cilium.io", false],
    ["sub*.cilium.io", "sub.cilium.io", true],
    ["sub*.cilium.io", "subdomain.cilium.io", true],
    ["sub*.cilium.io", "www.cilium.io", false],
    ["**.cilium.io", "app.cilium.io", true],
    ["**.cilium.io", "test.app.cilium.io", true],
    ["**.cilium.io", "cilium.io", false],
    ["*.*.cilium.io", "a.b.cilium.io", true],
    ["*.*.cilium.io", "a.cilium.io", false],
    ["WWW.Cilium.IO", "www.cilium.io", true],
    ["a.b", "axb", false],
    ["s3-*.amazonaws.com", "s3-eu_1.amazonaws.com", true],
  ])("%s and %s: %s", (matchPattern, name, expected) => expect(matchesDns({ matchPattern }, name)).toBe(expected));

  it("matches names in any case, with or without the last dot", () => {
    expect(matchesDns({ matchName: "Cilium.io" }, "cilium.IO.")).toBe(true);
    expect(matchesDns({ matchName: "cilium.io" }, "www.cilium.io")).toBe(false);
  });
});

describe("requests", () => {
  const ask = (rule: Record<string, unknown>, request: L7Request): boolean =>
    allowsRequest({ kind: request.kind, rules: [rule] }, request);
  const get = (path: string, more: object = {}): L7Request => ({ kind: "http", method: "GET", path, ...more });

  it("match over the whole of path, method and host", () => {
    expect(ask({ path: "/public" }, get("/public"))).toBe(true);
    expect(ask({ path: "/public" }, get("/public/x"))).toBe(false);
    expect(ask({ path: "/public.*" }, get("/public/x"))).toBe(true);
    expect(ask({ path: "/a|/b" }, get("/b"))).toBe(true);
    expect(ask({ path: "/a|/b" }, get("/a/b"))).toBe(false);
    expect(ask({ method: "GET|HEAD" }, get("/"))).toBe(true);
    expect(ask({ method: "POST" }, get("/"))).toBe(false);
    expect(ask({ host: "a\\.example" }, get("/", { host: "a.example" }))).toBe(true);
    expect(ask({ host: "a\\.example" }, get("/", { host: "axexample" }))).toBe(false);
    expect(ask({ path: "(?i)/ABC" }, get("/abc"))).toBe(true);
    expect(ask({}, get("/anything"))).toBe(true);
  });

  it("match by headers", () => {
    const headers = { "x-token": "a" };
    expect(ask({ headers: ["X-Token: a"] }, get("/", { headers }))).toBe(true);
    expect(ask({ headers: ["X-Token: b"] }, get("/", { headers }))).toBe(false);
    expect(ask({ headers: ["X-Token"] }, get("/", { headers }))).toBe(true);
    expect(ask({ headers: ["X-Other"] }, get("/", { headers }))).toBe(false);
    expect(ask({ headerMatches: [{ name: "X-Token", value: "a" }] }, get("/", { headers }))).toBe(true);
    expect(ask({ headerMatches: [{ name: "X-Token", value: "b" }] }, get("/", { headers }))).toBe(false);
    expect(ask({ headerMatches: [{ name: "X-Token", value: "b", mismatch: "LOG" }] }, get("/", { headers }))).toBe(
      true,
    );
  });

  it("of Kafka match by role, key and topic", () => {
    const produce = { kind: "kafka", fields: { apiKey: "produce", topic: "t" } };
    expect(ask({ role: "produce", topic: "t" }, produce)).toBe(true);
    expect(ask({ role: "produce", topic: "u" }, produce)).toBe(false);
    expect(ask({ role: "consume", topic: "t" }, produce)).toBe(false);
    expect(ask({ apiKey: "Produce" }, produce)).toBe(true);
    expect(ask({ role: "consume", topic: "t" }, { kind: "kafka", fields: { apiKey: "heartbeat" } })).toBe(true);
  });

  it("of memcached and Cassandra match by their keys", () => {
    const set = { kind: "memcached", fields: { command: "set", key: "user:1" } };
    expect(ask({ command: "set", keyPrefix: "user:" }, set)).toBe(true);
    expect(ask({ command: "get", keyPrefix: "user:" }, set)).toBe(false);
    expect(ask({ keyRegex: "user:[0-9]+" }, set)).toBe(true);
    const select = { kind: "cassandra", fields: { query_action: "select", query_table: "ks.users" } };
    expect(ask({ query_action: "select", query_table: "ks\\..*" }, select)).toBe(true);
    expect(ask({ query_action: "insert" }, select)).toBe(false);
  });

  it("of one kind are not allowed by rules of another", () => {
    expect(allowsRequest({ kind: "dns", rules: [{}] }, get("/"))).toBe(false);
  });

  it("are read from the text of a command", () => {
    expect(parseRequest("http", "GET /x a.example")).toEqual({
      kind: "http",
      method: "GET",
      path: "/x",
      host: "a.example",
    });
    expect(parseRequest("http", "GET")).toBeNull();
    expect(parseRequest("dns", " a.example ")).toEqual({ kind: "dns", name: "a.example" });
    expect(parseRequest("kafka", "apiKey=fetch topic=t")).toEqual({
      kind: "kafka",
      fields: { apiKey: "fetch", topic: "t" },
    });
    expect(parseRequest("kafka", "fetch")).toBeNull();
  });
});

describe("generalized paths", () => {
  const rules = (...paths: string[]): string[] =>
    generalizePaths(paths.map((path) => ({ kind: "http", method: "GET", path }))).map(({ path }) => path);

  it("keep names and free numbers and identifiers", () => {
    expect(rules("/users/12/posts", "/users/7/posts", "/users/7")).toEqual(["/users/[0-9]+", "/users/[0-9]+/posts"]);
    expect(rules("/o/3f2504e0-4f89-11d3-9a0c-0305e82c3301")).toEqual(["/o/[0-9a-fA-F-]{36}"]);
    expect(rules("/blob/deadbeef00112233")).toEqual(["/blob/[0-9a-fA-F]+"]);
    expect(rules("/a.b", "/a+b")).toEqual(["/a\\+b", "/a\\.b"]);
  });

  it("free a place where many names stand", () => {
    const names = Array.from({ length: 12 }, (_, i) => `/shop/${String.fromCharCode(97 + i)}-item/price`);
    expect(rules(...names, "/shop")).toEqual(["/shop", "/shop/[^/]+/price"]);
  });

  it("allow what they were made from", () => {
    const paths = ["/", "/a?x=1", "/a", "/b/1?y", "/c.d/(e)", ...Array.from({ length: 20 }, (_, i) => `/n/x${i}y`)];
    const made = generalizePaths(paths.map((path) => ({ kind: "http", method: "GET", path })));
    for (const path of paths)
      expect(
        allowsRequest(
          { kind: "http", rules: made.map((rule) => ({ ...rule })) },
          { kind: "http", method: "GET", path },
        ),
      ).toBe(true);
    expect(
      allowsRequest(
        { kind: "http", rules: made.map((rule) => ({ ...rule })) },
        { kind: "http", method: "GET", path: "/z" },
      ),
    ).toBe(false);
  });
});
