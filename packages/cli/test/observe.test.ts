import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { flow, observer } from "@skep/api";
import { jsonLine, recordOfFlow, timestampOf } from "@skep/flows";
import { type FakeAgent, fakeAgent } from "./fake-agent.ts";
import { skep } from "./in-process.ts";

function sample(port: number, change: Partial<Omit<flow.Flow, "$typeName">> = {}): flow.Flow {
  const made = create(flow.FlowSchema, {
    time: timestampOf(1_700_000_000_000_000_000n + BigInt(port) * 1_000_000_000n),
    uuid: `uuid-${port}`,
    verdict: flow.Verdict.FORWARDED,
    IP: { source: "10.0.0.1", destination: "10.0.0.2", ipVersion: flow.IPVersion.IPv4 },
    l4: { protocol: { case: "TCP", value: { sourcePort: 40000, destinationPort: port, flags: { SYN: true } } } },
    source: { ID: 1, identity: 700, namespace: "default", podName: "xwing", labels: ["k8s:org=alliance"] },
    destination: { ID: 2, identity: 701, namespace: "default", podName: "deathstar", labels: ["k8s:org=empire"] },
    Type: flow.FlowType.L3_L4,
    nodeName: "default/endor",
    eventType: { type: 4 },
    isReply: false,
    Summary: "TCP Flags: SYN",
  });
  return Object.assign(made, change);
}

const denied = {
  verdict: flow.Verdict.DROPPED,
  eventType: create(flow.CiliumEventTypeSchema, { type: 1, subType: 133 }),
};

describe("observing an agent", () => {
  let agent: FakeAgent;
  beforeAll(async () => {
    agent = await fakeAgent({});
    for (let port = 1; port <= 30; port++) agent.flows.add(recordOfFlow(sample(port)));
    agent.flows.add(recordOfFlow(sample(31, denied)));
    agent.flows.addAgentEvent(
      create(flow.AgentEventSchema, {
        type: flow.AgentEventType.ENDPOINT_CREATED,
        notification: { case: "endpointUpdate", value: { id: 3n, namespace: "default", podName: "xwing" } },
      }),
    );
  });
  afterAll(() => agent.close());
  const ask = (...args: string[]): ReturnType<typeof skep> => skep("observe", "--run", agent.run, ...args);
  const lines = async (...args: string[]): Promise<string[]> => (await ask(...args)).stdout.trimEnd().split("\n");

  it("shows the last 20, or as many as asked for", async () => {
    expect(await lines()).toHaveLength(20);
    expect(await lines("--all")).toHaveLength(31);
    expect(await lines("--last", "3")).toHaveLength(3);
    expect(await lines("--first", "1")).toEqual([
      "Nov 14 22:13:21.000: default/xwing:40000 (ID:700) -> default/deathstar:1 (ID:701) to-endpoint FORWARDED (TCP Flags: SYN)",
    ]);
    expect(await lines("--since", "2023-11-14T22:13:48Z", "--until", "2023-11-14T22:13:49Z")).toHaveLength(2);
  });

  it("filters where the flows are", async () => {
    expect(await lines("--verdict", "DROPPED")).toEqual([
      "Nov 14 22:13:51.000: default/xwing:40000 (ID:700) -> default/deathstar:31 (ID:701) Policy denied DROPPED (TCP Flags: SYN)",
    ]);
    expect(await lines("--all", "--not", "--to-port", "2-31")).toHaveLength(1);
    expect(await lines("--all", "--label", "org=empire", "--port", "7")).toHaveLength(1);
    expect((await ask("--from-pod", "deathstar")).stdout).toBe("");
    expect(await lines("--all", "--cel-expression", "_flow.l4.TCP.destination_port < 4")).toHaveLength(3);
    expect(await ask("--cel-expression", "_flow.nothing")).toMatchObject({
      status: 1,
      stderr: "skep: the CEL expression is wrong at 6: flow.Flow has no field nothing\n",
    });
  });

  it("prints JSON as hubble does", async () => {
    const [line = ""] = await lines("--last", "1", "-o", "json");
    const expected: observer.GetFlowsResponse = create(observer.GetFlowsResponseSchema, {
      responseTypes: { case: "flow", value: sample(31, denied) },
      nodeName: "default/endor",
    });
    expected.time = sample(31).time;
    expect(line).toBe(jsonLine(observer.GetFlowsResponseSchema, expected));
    const [masked = ""] = await lines("--last", "1", "-o", "json", "--field-mask", "source.pod_name,verdict");
    expect((JSON.parse(masked) as { flow: unknown }).flow).toEqual({
      verdict: "DROPPED",
      source: { pod_name: "xwing" },
    });
  });

  it("follows until it is interrupted", async () => {
    const following = ask("-f", "-o", "table", "--last", "1");
    const said = (text: string): void =>
      expect(
        vi
          .mocked(process.stdout.write)
          .mock.calls.map(([chunk]) => String(chunk))
          .join(""),
      ).toContain(text);
    // The last that is there, then what comes.
    await vi.waitFor(() => said("default/deathstar:31"), { timeout: 60_000, interval: 20 });
    agent.flows.add(recordOfFlow(sample(99)));
    await vi.waitFor(() => said("default/deathstar:99"), { timeout: 60_000, interval: 20 });
    process.emit("SIGINT", "SIGINT");
    const { status, stdout } = await following;
    expect(status).toBe(0);
    expect(stdout).toMatch(/^TIMESTAMP +SOURCE +DESTINATION/);
    expect(stdout).toContain("default/deathstar:99");
  });

  it("shows agent events", async () => {
    expect((await lines("agent-events"))[0]).toMatch(
      /: ENDPOINT_CREATED \(id: 3, namespace: default, pod name: xwing\)$/,
    );
    expect((await lines("agent-events", "-o", "json"))[0]).toContain('"endpoint_update":{"id":"3"');
    expect(await ask("nothing")).toMatchObject({ status: 2 });
  });

  it("says what the server refused", async () => {
    expect(await ask("--ip", "300.1.1.1")).toMatchObject({
      status: 1,
      stderr: 'skep: "300.1.1.1" is not an IP address or a CIDR prefix\n',
    });
  });
});

describe("filter flags", () => {
  const raw = async (...args: string[]): Promise<string> =>
    (await skep("observe", "--print-raw-filters", ...args)).stdout;

  it.each([
    [["--verdict", "DROPPED"], ['{"verdict":["DROPPED"]}'], []],
    [["--verdict", "dropped,audit"], ['{"verdict":["DROPPED","AUDIT"]}'], []],
    [["--pod", "xwing"], ['{"source_pod":["xwing"]}', '{"destination_pod":["xwing"]}'], []],
    [["-n", "prod", "--pod", "web"], ['{"source_pod":["prod/web"]}', '{"destination_pod":["prod/web"]}'], []],
    [["--from-all-namespaces", "--from-pod", "web"], ['{"source_pod":["/web"]}'], []],
    [["--to-namespace", "prod"], ['{"destination_pod":["prod/"]}'], []],
    [["--from-pod", "a/b", "--to-pod", "c/d"], ['{"source_pod":["a/b"],"destination_pod":["c/d"]}'], []],
    [
      ["--protocol", "tcp", "--port", "80"],
      ['{"protocol":["tcp"],"source_port":["80"]}', '{"protocol":["tcp"],"destination_port":["80"]}'],
      [],
    ],
    [["--not", "--protocol", "udp", "--verdict", "DROPPED"], ['{"verdict":["DROPPED"]}'], ['{"protocol":["udp"]}']],
    [["-t", "trace:to-stack"], ['{"event_type":[{"type":4,"match_sub_type":true,"sub_type":3}]}'], []],
    [["-t", "drop:Policy denied"], ['{"event_type":[{"type":1,"match_sub_type":true,"sub_type":133}]}'], []],
    [["-t", "l7,129"], ['{"event_type":[{"type":129},{"type":129}]}'], []],
    [["--drop-reason-desc", "policy_denied"], ['{"drop_reason_desc":["POLICY_DENIED"]}'], []],
    [["--tcp-flags", "syn,ack"], ['{"tcp_flags":[{"SYN":true,"ACK":true}]}'], []],
    [["--from-identity", "world"], ['{"source_identity":[2]}'], []],
    [["-6"], ['{"ip_version":["IPv6"]}'], []],
    [["--unencrypted"], ['{"encrypted":[false]}'], []],
    [["--to-workload", "Deployment/web"], ['{"destination_workload":[{"name":"web","kind":"Deployment"}]}'], []],
    [["--interface", "skep3"], ['{"interface":[{"name":"skep3"}]}'], []],
    [["--traffic-direction", "ingress"], ['{"traffic_direction":["INGRESS"]}'], []],
    [["--http-header", "a: b"], ['{"http_header":[{"key":"a","value":"b"}]}'], []],
    [["--cel-expression", "_flow.verdict == 2"], ['{"experimental":{"cel_expression":["_flow.verdict == 2"]}}'], []],
    [["--ip-trace-id", "9"], ['{"ip_trace_id":["9"]}'], []],
    [
      ["--allowlist", '{"uuid":["x"]} {"uuid":["}"]}', "--denylist", '{"verdict":["AUDIT"]}'],
      ['{"uuid":["x"]}', '{"uuid":["}"]}'],
      ['{"verdict":["AUDIT"]}'],
    ],
  ] as [string[], string[], string[]][])("%j", async (args, allow, deny) => {
    const list = (name: string, filters: string[]): string =>
      filters.length === 0 ? "" : `${name}:\n${filters.map((each) => `    - '${each}'\n`).join("")}`;
    expect(await raw(...args)).toBe(list("allowlist", allow) + list("denylist", deny));
  });

  it.each([
    ["--verdict", "MAYBE"],
    ["--type", "nonsense"],
    ["--type", "trace:nowhere"],
    ["--tcp-flags", "SYN,XYZ"],
    ["--identity", "somebody"],
    ["--allowlist", "{"],
    ["--not"],
    ["--first", "1", "--last", "2"],
    ["--first", "1", "-f"],
    ["--since", "yesterday-ish"],
    ["--last", "many"],
  ])("that cannot be end with status 2: %j %j", async (...args) => {
    const { status, stdout, stderr } = await skep("observe", "--print-raw-filters", ...args);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).not.toBe("");
  });
});

describe("a file of flows", () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-observe-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "flows.jsonl");

  it("is read, filtered and printed", async () => {
    const lines = [sample(1), sample(2, denied)].map((each) => `{"flow":${jsonLine(flow.FlowSchema, each)}}`);
    lines.push('{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":"3"}}');
    lines.push(jsonLine(flow.FlowSchema, sample(3), { names: "json" }));
    writeFileSync(file, `${lines.join("\n")}\n`);
    const { stdout } = await skep("observe", "--input-file", file);
    expect(stdout.trimEnd().split("\n")).toHaveLength(3);
    expect((await skep("observe", "--input-file", file, "--verdict", "DROPPED")).stdout).toContain("deathstar:2 ");
  });

  it("that is wrong is said with its line", async () => {
    writeFileSync(file, '{"flow":{}}\n{"flow":{"verdict":7.5}}\n');
    expect(await skep("observe", "--input-file", file)).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(`${file}:2 is not a flow in JSON`),
    });
    expect(await skep("observe", "--input-file", join(folder, "none"))).toMatchObject({
      status: 1,
      stderr: `skep: ${join(folder, "none")} cannot be read: ENOENT\n`,
    });
  });
});

const recorded = new URL("../../../../shared/data/hubble/observe-output.jsonl", import.meta.url);
if (!existsSync(recorded)) console.warn("skipped: no ../shared/data/hubble/observe-output.jsonl");

describe.skipIf(!existsSync(recorded))("the command line of hubble observe", () => {
  it("prints the same for all recorded lines", async () => {
    const folder = mkdtempSync(join(tmpdir(), "skep-observe-"));
    try {
      const lines = readFileSync(recorded, "utf8").trimEnd().split("\n");
      const file = join(folder, "one.jsonl");
      for (const line of lines) {
        const { name, format, output, response } = JSON.parse(line) as Record<"name" | "format" | "output", string> & {
          response: unknown;
        };
        writeFileSync(file, `${JSON.stringify(response)}\n`);
        const args = format.split(" ").flatMap((arg, at) => (at === 0 ? ["-o", arg] : [arg]));
        const { stdout } = await skep("observe", "--input-file", file, "--color", "never", ...args);
        expect(stdout, `${name} ${format}`).toBe(output);
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
