import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { PolicyMapEntry } from "@skep/policy";
import { allows, type PolicyQuestion } from "./connections.ts";

const entry = (over: Partial<PolicyMapEntry>): PolicyMapEntry => ({
  ...{
    direction: "ingress",
    identity: 0,
    protocol: 0,
    port: 0,
    portPrefix: 0,
    precedence: 1,
    deny: false,
    proxyPort: 0,
    cookie: 1,
  },
  ...over,
});
const question = (over: Partial<PolicyQuestion> = {}): PolicyQuestion => ({
  direction: "ingress",
  identity: 256,
  protocol: 6,
  port: 80,
  ...over,
});

describe("the policy lookup of the kernel, once more", () => {
  it("denies where nothing matches", () => {
    expect(allows([], question())).toBe(false);
    expect(allows([entry({ direction: "egress" })], question())).toBe(false);
    expect(allows([entry({ identity: 257 })], question())).toBe(false);
  });

  it("takes the longest prefix of an identity", () => {
    const rows = [
      entry({ identity: 256 }),
      entry({ identity: 256, protocol: 6, port: 80, portPrefix: 16, deny: true }),
    ];
    expect(allows(rows, question())).toBe(false);
    expect(allows(rows, question({ port: 81 }))).toBe(true);
    expect(allows(rows, question({ protocol: 17 }))).toBe(true);
  });

  it("lets the higher precedence of identity and any win, and the longer prefix on a tie", () => {
    const any = entry({ protocol: 6, port: 80, portPrefix: 16, deny: true });
    expect(allows([entry({ identity: 256 }), any], question())).toBe(false);
    expect(allows([entry({ identity: 256, precedence: 2 }), any], question())).toBe(true);
    expect(allows([entry({ identity: 256, protocol: 6, port: 80, portPrefix: 16 }), any], question())).toBe(true);
  });

  it("covers a range of ports by its prefix", () => {
    const rows = [entry({ protocol: 6, port: 80, portPrefix: 14 })];
    for (const port of [80, 83]) expect(allows(rows, question({ port }))).toBe(true);
    for (const port of [79, 84]) expect(allows(rows, question({ port }))).toBe(false);
  });

  it("denies what needs a proxy", () => {
    expect(allows([entry({ proxyPort: 10_000 })], question())).toBe(false);
  });

  it("is not changed by entries of other identities", () => {
    const others = fc.array(
      fc.record({ identity: fc.integer({ min: 300, max: 400 }), deny: fc.boolean(), precedence: fc.nat(9) }),
    );
    fc.assert(
      fc.property(others, fc.boolean(), (rows, deny) => {
        expect(allows([entry({ deny }), ...rows.map(entry)], question())).toBe(!deny);
      }),
    );
  });
});
