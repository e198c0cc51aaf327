// The agent's metrics as Prometheus scrapes them, on the simulated machine.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openSim, type SimMachine } from "@skep/sim";
import { createLogger, type MetricsOptions, type RunningAgent, startAgent } from "../src/index.ts";
import { parseListen } from "../src/metrics.ts";

const DENY = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: deny, namespace: default}
spec: {endpointSelector: {matchLabels: {app: web}}, ingress: [{}]}
`;

const service = (port: number): string => `apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.10, selector: {app: web}, ports: [{port: ${port}}]}
`;

describe("metrics of an agent", () => {
  let folder: string;
  let machine: SimMachine;
  let running: RunningAgent | null = null;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-metrics-"));
    mkdirSync(join(folder, "policies"));
    writeFileSync(join(folder, "policies", "deny.yaml"), DENY);
    machine = openSim();
  });
  afterEach(async () => {
    running?.agent.datapath.destroy();
    await running?.close();
    running = null;
    rmSync(folder, { recursive: true, force: true });
  });

  const start = async (metrics: Partial<MetricsOptions> = {}): Promise<RunningAgent> => {
    running = await startAgent({
      ...{ machine, directory: join(folder, "policies"), run: folder, state: join(folder, "state"), watch: false },
      ...{ pins: "/sys/fs/bpf/skep", cgroup: "skep", podCidr: "10.244.0.0/16", serviceCidr: "10.96.0.0/16" },
      log: createLogger({ write: () => undefined, now: () => machine.clock.now(), format: "json" }),
      metrics: { listen: "127.0.0.1:0", flows: ["drop:labelsContext=source_pod"], version: "1", ...metrics },
    });
    return running;
  };

  it("are all that the dashboard asks for", async () => {
    const { metrics } = await start({ flows: ["drop", "flow", "tcp", "icmp", "port-distribution", "policy"] });
    const text = await (await fetch(`http://${metrics ?? ""}/metrics`)).text();
    const known = new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name));
    const dashboard = readFileSync(new URL("../../../docs/grafana/skep.json", import.meta.url), "utf8");
    const { panels } = JSON.parse(dashboard) as { panels: { targets: { expr: string }[] }[] };
    const names = panels.flatMap(({ targets }) =>
      targets.flatMap(({ expr }) => expr.match(/(?:hubble|cilium|skep)_\w+/g) ?? []),
    );
    expect(names.length).toBeGreaterThan(15);
    for (const name of names) expect(known).toContain(name);
  });

  it("tell how full the tables of flows are, and what was taken out of them", async () => {
    const { agent, metrics } = await start();
    const scrape = async (): Promise<string> => (await fetch(`http://${metrics ?? ""}/metrics`)).text();
    expect(await scrape()).toContain('cilium_bpf_map_pressure{map_name="skep_ct"} 0\n');
    const map = machine.bpf.openMap("/sys/fs/bpf/skep/maps/skep_ct");
    if (!map) throw new Error("no table");
    const [key, value] = [new Uint8Array(map.info.keySize), new Uint8Array(map.info.valueSize)];
    map.set(key, value);
    // What lives long, of two entries; the first member is when it is over.
    map.set(key.fill(1), value.fill(0xff, 0, 4));
    map.close();
    agent.collector.run();
    const text = await scrape();
    expect(text).toContain(`cilium_bpf_map_pressure{map_name="skep_ct"} ${1 / map.info.maxEntries}\n`);
    expect(text).toContain('cilium_datapath_conntrack_gc_entries{status="alive"} 1\n');
    expect(text).toContain('cilium_datapath_conntrack_gc_entries{status="deleted"} 1\n');
    expect(text).toContain('cilium_datapath_conntrack_gc_runs_total{status="completed"} 1\n');
    // Half of it was over: the next look comes earlier.
    expect(text).toContain("cilium_datapath_conntrack_gc_interval_seconds 150\n");
  });

  it("tell endpoints, policies, and what was forwarded and dropped", async () => {
    const { agent, metrics } = await start();
    const stacks = ["web", "shop"].map((app) => {
      const { record } = agent.createEndpoint({ namespace: "default", name: app, labels: { app } });
      machine.processes.start(record.cgroup);
      const namespace = machine.net.openNamespace(record.netns);
      if (!namespace) throw new Error("no namespace");
      return namespace.stack;
    });
    const [web, shop] = agent.world.endpoints();
    if (!web || !shop) throw new Error("no endpoints");
    const [fromWeb, fromShop] = [
      await machine.simulation.run(stacks[0]?.ping(shop.address) ?? Promise.resolve(null)),
      await machine.simulation.run(stacks[1]?.ping(web.address) ?? Promise.resolve(null)),
    ];
    expect([fromWeb === null, fromShop === null]).toEqual([false, true]);
    const response = await fetch(`http://${metrics ?? ""}/metrics`);
    const text = await response.text();
    expect(response.headers.get("content-type")).toContain("text/plain");
    for (const line of [
      "cilium_endpoint 2",
      'cilium_endpoint_state{endpoint_state="ready"} 2',
      "cilium_policy 1",
      'cilium_ip_addresses{family="ipv4"} 2',
      'cilium_ipam_capacity{family="ipv4"} 65533',
      'cilium_errors_warnings_total{level="error",subsystem="agent"} 0',
      'cilium_policy_endpoint_enforcement_status{enforcement="ingress"} 1',
      'cilium_policy_endpoint_enforcement_status{enforcement="none"} 1',
      'cilium_drop_count_total{reason="Policy denied",direction="INGRESS"} 1',
      'hubble_drop_total{reason="POLICY_DENIED",protocol="ICMPv4",source_pod="shop"} 1',
      'cilium_version{version="1"} 1',
    ])
      expect(text).toContain(`${line}\n`);
    expect(text).toMatch(/cilium_forward_count_total\{direction="EGRESS"\} [1-9]/);
    expect((await fetch(`http://${metrics ?? ""}/metrics?collect=all`)).status).toBe(200);
    expect((await fetch(`http://${metrics ?? ""}/other`)).status).toBe(404);
    expect((await fetch(`http://${metrics ?? ""}/metrics`, { method: "POST" })).status).toBe(405);
  });

  it("tell what was done with policies, endpoints, services and addresses", async () => {
    const { agent, metrics } = await start();
    const folderFile = (name: string, text: string): void => writeFileSync(join(folder, "policies", name), text);
    const scrape = async (): Promise<Map<string, number>> => {
      const text = await (await fetch(`http://${metrics ?? ""}/metrics`)).text();
      return new Map([...text.matchAll(/^cilium_(\S+) (\S+)$/gm)].map(([, name = "", value]) => [name, Number(value)]));
    };
    const counted = (names: readonly string[]) => async (): Promise<(number | undefined)[]> => {
      const values = await scrape();
      return names.map((name) => values.get(name));
    };
    const policies = counted([
      ...['policy_change_total{outcome="success"}', 'policy_change_total{outcome="fail"}'],
      'policy_implementation_delay_count{source="directory"}',
    ]);
    const regenerations = counted([
      ...['endpoint_regenerations_total{outcome="success"}', 'endpoint_regenerations_total{outcome="fail"}'],
      'endpoint_regeneration_time_stats_seconds_count{scope="total",status="success"}',
    ]);
    const services = counted(["add", "update", "delete"].map((action) => `services_events_total{action="${action}"}`));
    // Those of the folder as it was at the start.
    expect([await policies(), await regenerations()]).toEqual([
      [1, 0, 1],
      [0, 0, undefined],
    ]);
    const { endpoint } = agent.createEndpoint({ namespace: "default", name: "web", labels: { app: "web" } });
    expect(await regenerations()).toEqual([1, 0, 1]);
    folderFile("deny.yaml", DENY.replace("ingress: [{}]", "egress: [{}]"));
    agent.rescan();
    expect([await policies(), await regenerations()]).toEqual([
      [2, 0, 2],
      [2, 0, 2],
    ]);
    folderFile("other.yaml", DENY.replace("endpointSelector", "endpointSelectors"));
    agent.rescan();
    rmSync(join(folder, "policies", "deny.yaml"));
    agent.rescan();
    expect(await policies()).toEqual([3, 1, 3]);
    // A frontend of another port is another.
    for (const [text, expected] of [
      [service(80), [1, 0, 0]],
      [service(81), [2, 0, 1]],
      [
        service(81).replace("}]}", "}], externalTrafficPolicy: Local}").replace("spec: {", "spec: {type: NodePort, "),
        null,
      ],
      ["", null],
    ] as const) {
      folderFile("service.yaml", text);
      agent.rescan();
      await vi.waitFor(async () => {
        const [added = 0, updated = 0, deleted = 0] = await services();
        if (expected) expect([added, updated, deleted]).toEqual(expected);
        else if (text === "") expect(deleted).toBe(added);
        else expect(updated).toBeGreaterThan(0);
      }, 30_000);
    }
    expect(await policies()).toEqual([3, 1, 3]);
    const fail = (): void => {
      throw new Error("no room");
    };
    agent.datapath.setPolicy = fail;
    agent.datapath.updatePolicy = fail;
    folderFile("deny.yaml", DENY);
    agent.rescan();
    expect((await policies()).slice(0, 2)).toEqual([4, 1]);
    expect((await regenerations())[1]).toBeGreaterThan(0);
    // Not in force yet.
    expect((await policies())[2]).toBe(3);
    agent.collector.run();
    const values = await scrape();
    expect(values.get('ipam_events_total{action="allocate",family="ipv4"}')).toBe(1);
    expect(values.get('ipcache_events_total{type="upsert"}')).toBeGreaterThan(1);
    expect(values.get('identity{type="cluster_local"}')).toBe(1);
    expect(values.get("nodes_all_num")).toBe(1);
    expect(values.get('datapath_conntrack_gc_duration_seconds_count{status="completed"}')).toBe(1);
    expect(values.get('agent_bootstrap_seconds{scope="overall",outcome="success"}')).toBeGreaterThan(0);
    await agent.removeEndpoint(endpoint);
    expect((await scrape()).get('ipam_events_total{action="release",family="ipv4"}')).toBe(1);
  });

  it("keep an agent from starting where they cannot be served", async () => {
    await expect(start({ flows: ["nothing"] })).rejects.toThrow(/there is no metric "nothing"/);
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    try {
      await expect(start({ listen: `127.0.0.1:${port}` })).rejects.toThrow(
        /cannot be served on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
      );
    } finally {
      taken.close();
    }
  });

  it("are served on loopback only", () => {
    expect(parseListen("127.0.0.1:9962")).toEqual({ host: "127.0.0.1", port: 9962 });
    expect(parseListen("[::1]:1")).toEqual({ host: "::1", port: 1 });
    for (const text of ["0.0.0.0:9962", "10.0.0.1:1", "[::]:9962"])
      expect(() => parseListen(text)).toThrow(/loopback only/);
    for (const text of ["9962", "localhost", "127.0.0.1:70000"])
      expect(() => parseListen(text)).toThrow(/is no address/);
  });
});
