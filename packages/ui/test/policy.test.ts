// The policy engine as the page asks it.
import { flow } from "@skep/api";
import { describe, expect, it } from "vitest";
import { documentsOf, Explainer, recordedOf, simulateText, suggestFor } from "../src/policy/engine.ts";
import { row } from "./rows.ts";

const text = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: web
  namespace: default
spec:
  endpointSelector:
    matchLabels:
      app: web
  ingress:
    - fromEndpoints:
        - matchLabels:
            app: client
      toPorts:
        - ports:
            - port: "80"
              protocol: TCP
`;
const documents = documentsOf([{ file: "web.yaml", line: 3, text } as never]);

describe("the policy engine in the page", () => {
  it("names the rule, with its line in the file, or the nearest that misses", () => {
    const explainer = new Explainer(documents, []);
    const allowed = explainer.why(row({ from: "client-1" }).flow);
    expect(allowed.changed).toBe(false);
    expect(allowed.sides.find(({ direction }) => direction === "ingress")).toMatchObject({
      verdict: "allowed",
      reason: "rule",
      rules: [{ namespace: "default", name: "web", path: "spec.ingress[0]", file: "web.yaml", line: 13 }],
    });
    const denied = explainer.why(row({ from: "intruder-1", dropped: true }).flow);
    const ingress = denied.sides.find(({ direction }) => direction === "ingress");
    expect(ingress).toMatchObject({ verdict: "denied", reason: "default-deny", nearest: { rule: { name: "web" } } });
    expect(ingress?.nearest?.misses.join()).toMatch(/intruder/);
  });

  it("says when the policies have changed since, and when no policy is asked", () => {
    const explainer = new Explainer(documents, []);
    expect(explainer.why(row({ from: "intruder-1" }).flow).changed).toBe(true);
    expect(explainer.why(row({ reply: true }).flow).note).toMatch(/reply/);
    const invalid = row({
      dropped: true,
      more: { dropReason: 132, dropReasonDesc: flow.DropReason.INVALID_SOURCE_IP },
    });
    expect(explainer.why(invalid.flow).note).toMatch(/Not a matter/);
  });

  it("simulates a text in the place of the policy of its name", () => {
    const rows = [row({ from: "client-1" }), row({ from: "client-1" }), row({ from: "other-1", dropped: true })];
    expect(simulateText(text, documents, rows)).toMatchObject({ flows: 3, changed: 0, policies: 1 });
    const other = simulateText(text.replace("app: client", "app: other"), documents, rows);
    expect(other.changed).toBe(3);
    expect(other.rows).toMatchObject([
      { from: "default/client-1", to: "default/web-1", port: "80/TCP", before: "allowed", after: "denied", count: 2 },
      { from: "default/other-1", before: "denied", after: "allowed", count: 1 },
    ]);
    expect(other.rows[1]?.by).toBe("default/web spec.ingress[0]");
    expect(simulateText("kind: [", documents, rows).problems.length).toBeGreaterThan(0);
  });

  it("suggests what allows the flows that passed, and nothing else", () => {
    const rows = [row({ from: "client-1" }), row({ reply: true }), row({ from: "intruder-1", dropped: true })];
    expect(recordedOf(rows)).toHaveLength(2);
    const { yaml, flows, denied } = suggestFor(rows, {});
    expect([flows, denied]).toEqual([1, 0]);
    expect(yaml).toContain("app: client");
    expect(yaml).not.toContain("intruder");
    const suggested = documentsOf([{ file: "s.yaml", line: 1, text: yaml } as never]);
    expect(simulateText("", suggested, rows).flows).toBe(2);
  });
});
