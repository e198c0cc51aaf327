// The connectivity test on the simulated machine: all of it, and that it can fail.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { ConnectivityTest } from "../src/connectivity/run.ts";
import { type Scenario, scenarios } from "../src/connectivity/scenarios.ts";
import { openSimGround } from "../src/connectivity/sim-ground.ts";
import { readCapture } from "@skep/net";
import { hasTshark, tsharkFindings } from "../../net/test/tshark.ts";
import { skep } from "./in-process.ts";

const folder = mkdtempSync(join(tmpdir(), "skep-connectivity-test-"));
const frames = join(folder, "out.pcapng");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("skep connectivity test --sim", () => {
  it("passes every scenario, and writes JUnit's XML", async () => {
    const file = join(folder, "out.xml");
    const { status, stdout } = await skep("connectivity", "test", "--sim", "--junit-file", file, "--capture", frames);
    expect(stdout).toContain(`${scenarios.length + 2} of ${scenarios.length + 2} passed on sim`);
    expect(status).toBe(0);
    const xml = readFileSync(file, "utf8");
    expect(xml.match(/<testcase /g)).toHaveLength(scenarios.length + 2);
    expect(xml).toContain(`tests="${scenarios.length + 2}" failures="0"`);
  });

  it.skipIf(!hasTshark())("sends nothing that Wireshark finds malformed, with all checksums", () => {
    const { packets, error } = readCapture(readFileSync(frames));
    expect(error).toBeNull();
    expect(packets.length).toBeGreaterThan(1000);
    expect(tsharkFindings(packets.map(({ data }) => data))).toEqual([]);
  });

  it("takes what connections of earlier scenarios still send for nobody's drop", async () => {
    // Answers to requests from outside are under way when the policies come that deny them.
    const { stdout, status } = await skep("connectivity", "test", "--sim", "-t", "^(no-pol|host-fire|echo-ingress)");
    expect(stdout).toContain("ok   no-unexpected-packet-drops");
    expect(status).toBe(0);
  });

  it("prints what its page shows", async () => {
    const page = readFileSync(join(dirname(fileURLToPath(import.meta.url)), "../../../docs/connectivity.md"), "utf8");
    const [, args = "", shown = ""] = /\$ skep (.*)\n((?:.+\n)+)```/.exec(page) ?? [];
    const { stdout } = await skep(...args.replaceAll("'", "").split(" "));
    expect(stdout.replace(/ \(\d+ ms\)$/gm, "")).toBe(shown);
  });

  it("lists and chooses by name, and refuses a name that is none", async () => {
    const list = await skep("connectivity", "test", "--list", "-t", "^client-egress", "-o", "json");
    const names = (JSON.parse(list.stdout) as { name: string }[]).map(({ name }) => name);
    expect(names).toContain("client-egress-knp");
    expect(names.every((name) => name.startsWith("client-egress"))).toBe(true);
    expect(await skep("connectivity", "test", "--sim", "-t", "nothing-like-this")).toMatchObject({ status: 2 });
    expect(await skep("connectivity", "test", "--sim", "-t", "(")).toMatchObject({ status: 2 });
  });
});

describe("a scenario", () => {
  const play = async (scenario: Scenario) => {
    const ground = openSimGround(1);
    const test = new ConnectivityTest(ground, () => 0);
    try {
      const outcome = await ground.run(test.run(scenario));
      return { outcome, closing: test.closing() };
    } finally {
      await ground.close();
    }
  };
  const base = { name: "wrong", summary: "" };
  const deny = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: deny, namespace: connectivity-test}
spec: {endpointSelector: {matchLabels: {kind: client}}, egress: [{}]}
`;

  it("fails where what should pass is dropped, and tells the drop as unexpected", async () => {
    const { outcome, closing } = await play({
      ...base,
      policies: [deny],
      probes: [{ from: "client", to: "echo-same-node", port: 80, expect: "ok" }],
    });
    expect(outcome).toMatchObject({ ok: false, findings: [{ expected: "ok", seen: "egress denied" }] });
    expect(closing[0]).toMatchObject({ name: "no-unexpected-packet-drops", ok: false });
  });

  it("fails where what should be dropped passes, or is dropped on the other side", async () => {
    const passed = await play({
      ...base,
      policies: [],
      probes: [{ from: "client", to: "echo-same-node", port: 80, expect: "ingress denied" }],
    });
    expect(passed.outcome).toMatchObject({ ok: false, findings: [{ seen: "ok" }] });
    const other = await play({
      ...base,
      policies: [deny],
      probes: [{ from: "client", to: "echo-same-node", port: 80, expect: "ingress denied" }],
    });
    expect(other.outcome).toMatchObject({ ok: false, findings: [{ seen: "egress denied" }] });
  });

  it("fails where somebody else answers", async () => {
    const { outcome } = await play({
      ...base,
      policies: [],
      probes: [{ from: "client", to: "192.0.2.2", port: 80, expect: "ok", by: "host" }],
    });
    expect(outcome).toMatchObject({ ok: false, findings: [{ seen: expect.stringContaining("answer of external:") }] });
  });

  it("fails where a policy is refused", async () => {
    const { outcome, closing } = await play({ ...base, policies: [deny.replace("spec", "spek")], probes: [] });
    expect(outcome).toMatchObject({ ok: false, findings: [{ probe: "policies" }] });
    expect(closing[1]).toMatchObject({ name: "check-log-errors", ok: false });
  });
});
