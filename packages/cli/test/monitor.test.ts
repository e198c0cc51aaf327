import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { flow } from "@skep/api";
import { recordOfFlow, timestampOf } from "@skep/flows";
import { type FakeAgent, fakeAgent } from "./fake-agent.ts";
import { skep } from "./in-process.ts";

const sample = (port: number, type: number, subType = 0): flow.Flow =>
  create(flow.FlowSchema, {
    time: timestampOf(1_700_000_000_000_000_000n + BigInt(port)),
    verdict: type === 1 ? flow.Verdict.DROPPED : flow.Verdict.FORWARDED,
    IP: { source: "10.0.0.1", destination: "10.0.0.2", ipVersion: flow.IPVersion.IPv4 },
    l4: { protocol: { case: "TCP", value: { sourcePort: 40_000, destinationPort: port, flags: { SYN: true } } } },
    source: { ID: port, identity: 700 },
    destination: { ID: 9, identity: 701 },
    eventType: { type, subType },
  });

describe("skep monitor", () => {
  let agent: FakeAgent;
  beforeAll(async () => {
    agent = await fakeAgent({});
  });
  afterAll(() => agent.close());

  /** Starts to listen, has flows happen until a line is there, and interrupts. */
  async function listen(...args: readonly string[]): Promise<string[]> {
    const running = skep("monitor", "--run", agent.run, ...args);
    const seen = (): boolean => vi.mocked(process.stdout.write).mock.calls.length > 0;
    const heard = (): void => {
      for (const each of [sample(1, 4), sample(2, 1, 133), sample(3, 4, 3)]) agent.flows.add(recordOfFlow(each));
      expect(seen()).toBe(true);
    };
    await vi.waitFor(heard, { timeout: 60_000, interval: 50 });
    process.emit("SIGINT");
    const { status, stdout } = await running;
    expect(status).toBe(0);
    return [...new Set(stdout.trimEnd().split("\n"))].sort();
  }

  it("prints what comes, and ends at Ctrl-C", async () => {
    const lines = await listen();
    expect(lines.length).toBeGreaterThan(0);
    expect(lines.join("\n")).toMatch(/^-> endpoint 9, identity 700->701 state unknown /);
  });

  it("by type and by endpoint", async () => {
    expect(await listen("-t", "drop")).toEqual([
      "xx drop (Policy denied) to endpoint 9, ifindex 0, identity 700->701: 10.0.0.1:40000 -> 10.0.0.2:2 tcp SYN",
    ]);
    const related = await listen("--related-to", "3", "-j");
    expect(related.map((line) => (JSON.parse(line) as { source: { ID: number } }).source.ID)).toEqual([3]);
  });

  it("refuses a type that is none", async () => {
    const { status, stderr } = await skep("monitor", "--run", agent.run, "-t", "nothing");
    expect(status).toBe(2);
    expect(stderr).toContain('there is no message type "nothing"');
  });
});
