import { mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { MissingCapabilityError } from "../bpf/capabilities.ts";
import { openNet } from "./index.ts";
import { missingOf } from "./privilege.ts";

test.each([
  [0n, ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]],
  [1n << 12n, ["CAP_SYS_ADMIN"]],
  [1n << 21n, ["CAP_NET_ADMIN"]],
  [(1n << 21n) | (1n << 12n), []],
] as const)("of the set %d is missing %j", (effective, missing) => {
  expect(missingOf(effective, ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"])).toEqual(missing);
});

const isRoot = process.getuid?.() === 0;
if (isRoot) console.warn("skipped: the refusals of an ordinary user, as this one is root");

describe.skipIf(isRoot)("an ordinary user", () => {
  test("reads its own namespace, and is told what the rest needs before anything is done", () => {
    const run = mkdtempSync(join(tmpdir(), "skep-user-"));
    const net = openNet({ run });
    expect(net.host.interface("lo")?.index).toBe(1);
    expect(net.host.cookie).toBeGreaterThan(0n);
    expect(() => net.createNamespace("x")).toThrow(MissingCapabilityError);
    expect(() => net.host.setUp(1, true)).toThrow("changing an interface in namespace host needs CAP_NET_ADMIN");
    expect(() => net.namespaceAt(`/proc/${process.ppid}/ns/net`).interfaces()).toThrow("CAP_SYS_ADMIN");
    expect(readdirSync(run)).toEqual([]);
    rmdirSync(run);
  });
});
