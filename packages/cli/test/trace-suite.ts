/**
 * @module
 * Packets traced, and then sent: what was foretold comes true, to the byte of the addresses and the code of the drop.
 */
import { datapathTables } from "@skep/datapath";
import { formatAddress, type LayerSpec, type ParsedPacket } from "@skep/net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ip } from "../../agent/test/packet-lab.ts";
import { Cluster, type ClusterGround, type ClusterPod, OUTSIDE4, OUTSIDE6 } from "../../agent/test/cluster-lab.ts";
import { tracePackets, type TraceOptions } from "../src/commands/trace.ts";
import { workloadNames } from "../src/trace/names.ts";
import { packetText } from "../src/trace/packet.ts";
import type { Trace } from "../src/trace/walk.ts";

const SERVICES = { web: "10.96.0.10", web6: "fd00:96::10", lonely: "10.96.0.11" };

const service = (name: string, address: string, app: string): string => `apiVersion: v1
kind: Service
metadata: {name: ${name}}
spec:
  clusterIP: "${address}"
  selector: {app: ${app}}
  ports: [{port: 80, targetPort: 8080, protocol: TCP}]
`;

const DOCUMENTS = {
  "services.yaml": [
    service("web", SERVICES.web, "web"),
    service("web6", SERVICES.web6, "web"),
    service("lonely", SERVICES.lonely, "nobody"),
  ].join("---\n"),
  "policy.yaml": `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: web}
spec:
  endpointSelector: {matchLabels: {app: web}}
  ingress: [{fromEndpoints: [{matchLabels: {app: client}}]}]
---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: prisoner}
spec:
  endpointSelector: {matchLabels: {app: prisoner}}
  egress: [{toEndpoints: [{matchLabels: {app: client}}]}]
`,
};

const NAMES = ["web", "client", "other", "prisoner"] as const;
const DEFAULTS: Omit<TraceOptions, "from" | "to"> = {
  ...({ run: "", pins: "", output: "table", protocol: "tcp" } as const),
  ...{ port: 80, sourcePort: 40_000, flags: "S", mark: 0, socket: false },
};

/** `pinsOf`: where the first host pins its datapath. */
export function traceSuite(ground: () => ClusterGround, pinsOf: (ground: ClusterGround) => string): void {
  let cluster: Cluster;
  let pins: string;
  const pods = new Map<string, ClusterPod>();

  beforeAll(() => {
    const made = ground();
    pins = pinsOf(made);
    cluster = new Cluster(made, 1, {
      documents: DOCUMENTS,
      agent: () => ({ devices: ["out0"], loadBalancer: { nodePortRange: [30_000, 32_767] } }),
    });
    for (const name of NAMES) pods.set(name, cluster.addPod(0, name));
  }, 300_000);
  afterAll(() => cluster?.close());

  const pod = (name: string): ClusterPod => pods.get(name)!;
  const machine = () => cluster.hosts[0]!.machine;

  const trace = (options: Partial<TraceOptions> & Pick<TraceOptions, "from" | "to">): Trace[] => {
    const rows = [...pods].map(([name, { endpoint }]) => ({
      ...{ id: endpoint.id, namespace: "default", name },
      addresses: [endpoint.address, endpoint.address6].flatMap((each) => (each ? [formatAddress(each)] : [])),
    }));
    const services = new Map(Object.entries(SERVICES).map(([name, address]) => [`default/${name}`, [address]]));
    const names = { workloads: workloadNames(rows), services };
    return tracePackets({ machine: machine(), pins, names, close: () => undefined }, { ...DEFAULTS, ...options });
  };

  /** What the trace says is sent, as the sender would. */
  const layersOf = ({ packet }: Trace, family: 4 | 6): LayerSpec[] => {
    const [, source = "", sourcePort, destination = "", port] =
      /^tcp \[?([^\]]+?)\]?:(\d+) > \[?([^\]]+?)\]?:(\d+)$/.exec(packet) ?? [];
    const ends = { source: ip(source), destination: ip(destination) };
    return [
      family === 4 ? { kind: "ipv4", ...ends } : { kind: "ipv6", ...ends },
      { kind: "tcp", sourcePort: Number(sourcePort), destinationPort: Number(port), flags: 2 },
    ];
  };

  const isEndpointTable = ({ name }: { name: string }): boolean => name === "ct" || name === "nat";
  const rows = (): number =>
    datapathTables.filter(isEndpointTable).reduce((sum, table) => sum + (table.read(machine(), pins)?.length ?? 0), 0);

  const drops = (reason: number): bigint =>
    cluster.hosts[0]!.agent.datapath.counters().reduce(
      (sum, each) => (each.reason === reason ? sum + each.packets : sum),
      0n,
    );

  let lastPort = 41_000;

  /** The trace's last frame arrives there, with the addresses and ports that it says. */
  const arrives = async (from: string, at: string, options: Partial<TraceOptions> & { to: string }): Promise<Trace> => {
    const sourcePort = ++lastPort;
    const before = rows();
    const [found] = trace({ from, ...options, sourcePort });
    expect(rows()).toBe(before);
    const last = found!.stages.at(-1)!;
    const family = last.packet.includes("[") ? 6 : 4;
    cluster.send(pod(from), ...layersOf(found!, family));
    const port = at === "outside" ? cluster.hosts[0]!.outer : pod(at).port;
    const isIt = (packet: ParsedPacket): boolean => packetText(packet.bytes) === last.packet;
    const seen = await cluster.arrival(port, isIt);
    expect(seen, `${last.packet} does not arrive`).not.toBeNull();
    return found!;
  };

  const isDropped = async (
    from: string,
    reason: number,
    options: Partial<TraceOptions> & { to: string },
  ): Promise<Trace> => {
    const [found] = trace({ from, ...options, sourcePort: ++lastPort });
    expect(found!.outcome).toMatchObject({ verdict: "dropped", reason });
    const before = drops(reason);
    cluster.send(pod(from), ...layersOf(found!, 4));
    await cluster.quiet(() => drops(reason) > before);
    expect(drops(reason)).toBe(before + 1n);
    return found!;
  };

  const lookups = ({ stages }: Trace, map: string): readonly string[] =>
    stages.flatMap(({ steps }) => steps.flatMap((step) => (step.map === map ? [`${step.key}: ${step.result}`] : [])));

  describe("what is foretold comes true", () => {
    it("to another workload, by its policy", async () => {
      const found = await arrives("client", "web", { to: "web", port: 8080 });
      expect(found.outcome).toEqual({ verdict: "delivered", text: `to endpoint ${pod("web").endpoint.id}`, reason: 0 });
      const { identity } = pod("client").endpoint;
      expect(lookups(found, "skep_policy").join("\n")).toMatch(
        new RegExp(`ingress identity=${identity} TCP port=8080: precedence=\\d+ cookie=\\d+`),
      );
      expect(lookups(found, "skep_ct")[0]).toMatch(/: none$/);
    });

    it("the same in IPv6", async () => {
      const found = await arrives("client", "web", { to: "web", port: 8080, ipv6: true });
      expect(found.outcome.verdict).toBe("delivered");
    });

    it("to a service, which is translated at the wire", async () => {
      const found = await arrives("client", "web", { to: "web", port: 8080 });
      expect(found.stages).toHaveLength(1);
      const served = await arrives("client", "web", { to: SERVICES.web });
      expect(served.packet).toContain("> 10.96.0.10:80");
      expect(served.stages[0]!.packet).toContain(`> ${formatAddress(pod("web").endpoint.address)}:8080`);
      expect(lookups(served, "skep_services")[0]).toMatch(/address=10.96.0.10 port=80 protocol=TCP: id=\d+ count=1/);
    });

    it("to the world, with the node's address and the port that it gets", async () => {
      for (const to of [OUTSIDE4, OUTSIDE6]) {
        const found = await arrives("other", "outside", { to, port: 9 });
        expect(found.outcome).toEqual({ verdict: "sent", text: "by out0", reason: 0 });
        expect(found.stages.map(({ hook }) => hook)).toEqual([
          `tcx ingress of ${pod("other").endpoint.interfaceName}`,
          "routing",
          "tcx egress of out0",
        ]);
      }
    });

    it("dropped by the receiver's policy, and by the sender's", async () => {
      const denied = await isDropped("other", 133, { to: "web", port: 8080 });
      expect(lookups(denied, "skep_events")[0]).toContain("drop 133: Policy denied, ingress");
      const kept = await isDropped("prisoner", 133, { to: "web", port: 8080 });
      expect(lookups(kept, "skep_events")[0]).toContain("drop 133: Policy denied, egress");
    });

    it("dropped for want of a backend", async () => {
      const found = await isDropped("client", 158, { to: SERVICES.lonely });
      expect(found.outcome.text).toMatch(/, and the sender is told$/);
    });

    it("in from outside, to a workload and not to another", async () => {
      const from = OUTSIDE4;
      const [denied] = trace({ from, to: "web", port: 8080 });
      expect(denied!.outcome).toMatchObject({ verdict: "dropped", reason: 133 });
      const [found] = trace({ from, to: "other", port: 9, sourcePort: ++lastPort });
      expect(found!.stages.map(({ hook }) => hook)).toEqual([
        "tcx ingress of out0",
        "routing",
        `tcx egress of ${pod("other").endpoint.interfaceName}`,
      ]);
      cluster.sendIn(0, ...layersOf(found!, 4));
      const isIt = (packet: ParsedPacket): boolean => packetText(packet.bytes) === found!.stages.at(-1)!.packet;
      expect(await cluster.arrival(pod("other").port, isIt)).not.toBeNull();
    });
  });

  describe("an answer", () => {
    it("passes by the entry that the first packet would have made", () => {
      const [there, back] = trace({ from: "client", to: SERVICES.web, answer: true, sourcePort: ++lastPort });
      expect(there!.outcome.verdict).toBe("delivered");
      expect(back!.outcome).toMatchObject({ verdict: "delivered", text: `to endpoint ${pod("client").endpoint.id}` });
      expect(back!.stages.at(-1)!.packet).toMatch(/^tcp 10\.96\.0\.10:80 > /);
      expect(lookups(back!, "skep_ct")[0]).toMatch(/packets=1/);
    });

    it("from the world comes back to who has asked", () => {
      const [, back] = trace({ from: "other", to: OUTSIDE4, answer: true, sourcePort: ++lastPort });
      expect(back!.outcome).toMatchObject({ verdict: "delivered", text: `to endpoint ${pod("other").endpoint.id}` });
    });
  });

  it("a socket's connect is where a service gets its backend", () => {
    const [found] = trace({ from: "client", to: SERVICES.web, socket: true });
    expect(found!.stages[0]).toMatchObject({ hook: "connect", program: "skep_connect4", verdict: "connect" });
    expect(found!.stages[0]!.packet).toContain(`> ${formatAddress(pod("web").endpoint.address)}:8080`);
    const [refused] = trace({ from: "client", to: SERVICES.lonely, socket: true });
    expect(refused!.stages[0]!.verdict).toBe("refused: EPERM");
    expect(refused!.outcome.verdict).toBe("dropped");
  });

  it("each step names its line", () => {
    const [found] = trace({ from: "client", to: "web", port: 8080 });
    const steps = found!.stages.flatMap((stage) => stage.steps);
    expect(steps.length).toBeGreaterThan(8);
    for (const { at } of steps) expect(at).toMatch(/^[a-z-]+\.bpf\.ts:\d+$/);
  });

  it("who is nobody is told, and who is", () => {
    expect(() => trace({ from: "client", to: "nobody" })).toThrow(
      /"nobody" is no address, workload or service: .*default\/web/,
    );
    expect(() => trace({ from: "client", to: "web", flags: "SX" })).toThrow('"X" is no flag of TCP');
  });
}
