import { create } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { flow } from "@skep/api";
import { recordOfFlow } from "@skep/flows";
import { type FakeAgent, fakeAgent } from "./fake-agent.ts";
import { skep } from "./in-process.ts";

const policy = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata:
  name: landing
spec:
  endpointSelector:
    matchLabels: { class: deathstar }
  ingress:
    - fromEndpoints: [{ matchLabels: { org: empire } }]
      toPorts: [{ ports: [{ port: "80", protocol: TCP }] }]
`;

const namespace = "k8s:io.kubernetes.pod.namespace=default";
const identities = [
  { id: 700, labels: ["k8s:class=deathstar", namespace] },
  { id: 701, labels: ["k8s:org=alliance", namespace] },
  { id: 702, labels: ["k8s:org=empire", namespace] },
];
const end = (id: number, name: string): flow.Endpoint =>
  create(flow.EndpointSchema, {
    ID: id - 690,
    identity: id,
    namespace: "default",
    podName: name,
    labels: identities.find((each) => each.id === id)?.labels ?? [],
  });

interface Sample {
  readonly uuid: string;
  readonly source: flow.Endpoint;
  readonly port: number;
  readonly code: number;
  readonly reply?: boolean;
}

const sample = ({ uuid, source, port, code, reply }: Sample): flow.Flow =>
  create(flow.FlowSchema, {
    time: { seconds: BigInt(Math.floor(Date.now() / 1000)) },
    uuid,
    verdict: code === 0 ? flow.Verdict.FORWARDED : flow.Verdict.DROPPED,
    dropReason: code,
    IP: { source: "10.0.0.1", destination: "10.0.0.2", ipVersion: flow.IPVersion.IPv4 },
    l4: { protocol: { case: "TCP", value: { sourcePort: 4000, destinationPort: port, flags: { SYN: true } } } },
    source,
    destination: end(700, "deathstar"),
    eventType: { type: code === 0 ? 4 : 1, subType: code },
    isReply: reply ?? false,
    Summary: "TCP Flags: SYN",
    ...(code === 133 && {
      ingressDeniedBy: [{ kind: "CiliumNetworkPolicy", namespace: "default", name: "landing" }],
    }),
  });

describe("why", () => {
  let agent: FakeAgent;
  const uuid = (n: number): string => `00000000-0000-4000-8000-00000000000${n}`;

  beforeAll(async () => {
    agent = await fakeAgent({
      listIdentities: () => ({ identities }),
      getPolicy: () => ({
        revision: 2n,
        rules: [
          {
            kind: "CiliumNetworkPolicy",
            namespace: "default",
            name: "landing",
            file: "/etc/skep/landing.yaml",
            line: 5,
            text: policy,
            endpoints: [],
          },
        ],
        entries: [],
      }),
    });
    const xwing = end(701, "xwing");
    const flows = [
      sample({ uuid: uuid(1), source: end(702, "tie"), port: 80, code: 0 }),
      sample({ uuid: uuid(2), source: xwing, port: 80, code: 132 }),
      sample({ uuid: uuid(3), source: xwing, port: 80, code: 0, reply: true }),
      sample({ uuid: uuid(4), source: end(702, "tie"), port: 80, code: 133 }),
      sample({ uuid: uuid(5), source: xwing, port: 80, code: 133 }),
    ];
    for (const each of flows) agent.flows.add(recordOfFlow(each));
  });
  afterAll(() => agent.close());
  const ask = (...args: string[]): ReturnType<typeof skep> => skep("why", ...args, "--run", agent.run);

  it("names the nearest rule of the last drop, with where it stands and what it misses", async () => {
    const { status, stdout } = await ask();
    expect(status).toBe(0);
    expect(stdout).toContain("default/xwing:4000 (ID:701) -> default/deathstar:80 (ID:700) Policy denied DROPPED");
    expect(stdout).toContain("ingress denied under CiliumNetworkPolicy default/landing\n");
    expect(stdout).toContain("egress allowed (no policy selects it)\n");
    expect(stdout).toContain("ingress denied (no rule allows it)\n");
    // The document begins in line 5 of its file.
    expect(stdout).toMatch(/nearest: .*default\/landing.*landing\.yaml:13:/);
    expect(stdout).toMatch(/but .*org/);
  });

  it("names the rule that allowed", async () => {
    const { stdout } = await ask(uuid(1));
    expect(stdout).toMatch(/ingress allowed \(by a rule\)\n {2}.*default\/landing/);
    expect((await ask("--from-pod", "tie", "--verdict", "FORWARDED")).stdout).toBe(stdout);
  });

  it("says what is no matter of policy, and what a reply is", async () => {
    expect((await ask(uuid(2))).stdout).toMatch(
      /no matter of policy: Invalid source ip \(132\)\n {2}the workload sent/,
    );
    expect((await ask(uuid(3))).stdout).toMatch(/a reply: it passes/);
  });

  it("says where the policy has changed since", async () => {
    expect((await ask(uuid(4))).stdout).toContain("the policy has changed since: now it would be allowed\n");
  });

  it("says when there is no such flow", async () => {
    expect(await ask(uuid(9))).toMatchObject({
      status: 1,
      stderr: `skep: the flow ${uuid(9)} is not in the ring any more\n`,
    });
    expect(await ask("nonsense")).toMatchObject({ status: 2 });
    expect(await ask("--from-pod", "nobody")).toMatchObject({ status: 1 });
  });

  it("lists nodes and namespaces", async () => {
    const list = (...args: string[]): ReturnType<typeof skep> => skep("list", ...args, "--run", agent.run);
    expect((await list("nodes")).stdout).toMatch(/^NAME .*\ndefault\/endor +Connected +\S+ +5\/63 \(7\.94%\) +5 +0\n$/);
    expect((await list("namespaces")).stdout).toBe("NAMESPACE  CLUSTER\ndefault\n");
    expect(JSON.parse((await list("nodes", "-o", "json")).stdout)).toMatchObject([{ state: "NODE_CONNECTED" }]);
  });
});
