/**
 * @module
 * The half of a ground that is the same on every machine: wires to the outside, the agent, its events and its folder.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Agent, createLogger } from "@skep/agent";
import { datapathTables } from "@skep/datapath";
import type { Machine, Namespace } from "@skep/machine";
import { type Address, parseAddress } from "@skep/net";
import { formatDiagnostic } from "@skep/policy";
import {
  CAST,
  type CastMember,
  connectionName,
  type Drop,
  EGRESS,
  EXTERNAL,
  EXTERNAL6,
  EXTERNAL6_OTHER,
  EXTERNAL_OTHER,
  FRONT,
  FRONT6,
  HTTP,
  NODE,
  NODE6,
  OTHER_HTTP,
  SERVICE_DOCUMENT,
  TRANSLATED,
  ZONE,
} from "./ground.ts";

const DROP = 1;
const POD_CIDR = "10.244.0.0/16";
const POD_CIDR6 = "fd00:10:244::/112";

export const must = <T>(value: T | null | undefined, what: string): T => {
  if (value === null || value === undefined) throw new Error(`${what} is missing`);
  return value;
};

export const addressOf = (text: string): Address => must(parseAddress(text), text);

/** The host's wire to a namespace with the two outside addresses, which route workloads' addresses back to it. */
export function wireOutside(host: Namespace, outside: Namespace): void {
  for (const name of ["all", "default"]) host.setSysctl(`net/ipv4/conf/${name}/rp_filter`, "0");
  host.setSysctl("net/ipv4/ip_forward", "1");
  host.setSysctl("net/ipv6/conf/all/forwarding", "1");
  const { host: near, peer } = host.createVeth("out0", { namespace: outside, name: "eth0" });
  for (const [namespace, name] of [
    [host, "out0"],
    [outside, "eth0"],
  ] as const)
    for (const [key, value] of Object.entries({ accept_dad: "0", accept_ra: "0" }))
      namespace.setSysctl(`net/ipv6/conf/${name}/${key}`, value);
  host.addAddress(near.index, { address: addressOf(NODE), length: 24 });
  host.addAddress(near.index, { address: addressOf(NODE6), length: 64 });
  host.addAddress(near.index, { address: addressOf(EGRESS), length: 32 });
  for (const text of [EXTERNAL, EXTERNAL_OTHER])
    outside.addAddress(peer.index, { address: addressOf(text), length: 24 });
  // The longer prefix is who answers (RFC 6724, rule 8).
  outside.addAddress(peer.index, { address: addressOf(EXTERNAL6), length: 128 });
  outside.addAddress(peer.index, { address: addressOf(EXTERNAL6_OTHER), length: 64 });
  host.setUp(near.index, true);
  outside.setUp(peer.index, true);
  const byNode: readonly (readonly [string, number, string])[] = [
    ["10.244.0.0", 16, NODE],
    ["fd00:10:244::", 112, NODE6],
    [FRONT, 32, NODE],
    [FRONT6, 128, NODE6],
    [TRANSLATED, 96, NODE6],
  ];
  for (const [destination, length, gateway] of byNode)
    outside.addRoute({
      destination: { address: addressOf(destination), length },
      gateway: addressOf(gateway),
      interface: peer.index,
    });
  // What workloads send there leaves by the interface where it is translated.
  host.addRoute({
    destination: { address: addressOf(TRANSLATED), length: 96 },
    gateway: addressOf(EXTERNAL6),
    interface: near.index,
  });
}

export class AgentGround {
  readonly errors: string[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), "skep-connectivity-"));
  readonly #machine: Machine;
  readonly #place: { readonly pins: string; readonly cgroup: string };
  readonly #policies = join(this.folder, "policies");
  #written = 0;
  #agent: Agent;
  #reader: ReturnType<Agent["datapath"]["readEvents"]>;
  #drops: Drop[] = [];

  constructor(machine: Machine, place: { readonly pins: string; readonly cgroup: string }) {
    this.#machine = machine;
    this.#place = place;
    mkdirSync(this.#policies);
    writeFileSync(join(this.#policies, "service.yaml"), SERVICE_DOCUMENT);
    this.#agent = this.#start();
    this.#reader = this.#listen();
  }

  get agent(): Agent {
    return this.#agent;
  }

  #start(): Agent {
    const now = (): number => this.#machine.clock.now();
    const log = createLogger({ write: (line) => this.#note(line), now, format: "json" });
    return new Agent({
      ...{ machine: this.#machine, directory: this.#policies, run: this.folder, state: join(this.folder, "state") },
      ...{
        ...this.#place,
        podCidr: POD_CIDR,
        podCidr6: POD_CIDR6,
        serviceCidr: "10.96.0.0/16",
        nodeName: "node1",
        watch: false,
        log,
      },
      ...{ hostFirewall: true, nodeLabels: { "kubernetes.io/hostname": "node1", "topology.kubernetes.io/zone": ZONE } },
      ...{ devices: ["out0"], masquerade: true, egressGateway: true },
      ...{ nat46x64: "gateway", loadBalancer: { nat46x64: true } },
      // The world routes to workloads; what is of the other family there has the node's address.
      nonMasqueradeCidrs: ["192.0.2.0/24", "2001:db8::/64"],
    });
  }

  #note(line: string): void {
    if ((JSON.parse(line) as { level: string }).level === "error") this.errors.push(line.trim());
  }

  #listen(): ReturnType<Agent["datapath"]["readEvents"]> {
    return this.#agent.datapath.readEvents((event) => {
      if (event.type === DROP) this.#drops.push(event);
    });
  }

  /** The workloads' namespaces and cgroups, in the order of the cast. */
  join(member: CastMember): ReturnType<Agent["createEndpoint"]> {
    return this.#agent.createEndpoint({
      ...member,
      namedPorts: [
        { name: "http", protocol: 6, port: HTTP },
        { name: "http-8080", protocol: 6, port: OTHER_HTTP },
      ],
    });
  }

  setPolicies(texts: readonly string[]): void {
    for (let n = 0; n < this.#written; n++) rmSync(join(this.#policies, `policy-${n}.yaml`));
    texts.forEach((text, n) => writeFileSync(join(this.#policies, `policy-${n}.yaml`), text));
    this.#written = texts.length;
    const before = this.errors.length;
    this.#agent.rescan();
    const [failure] = this.#agent.failures;
    if (failure) throw new Error(`${failure[0]} is not in force: ${failure[1]}`);
    const problems = this.#agent.world.diagnostics().filter(({ severity }) => severity === "error");
    if (problems[0]) throw new Error(formatDiagnostic(problems[0]));
    if (this.errors.length > before) throw new Error(this.errors.at(-1));
  }

  takeDrops(): Drop[] {
    this.#reader.drain();
    return this.#drops.splice(0);
  }

  connections(): Set<string> {
    const table = datapathTables.find(({ name }) => name === "ct");
    const rows = must(table?.read(this.#machine, this.#place.pins), "the table of connections");
    const names = rows.map(({ source, sourcePort, destination, destinationPort }) =>
      connectionName(`${String(source)} ${String(sourcePort)}`, `${String(destination)} ${String(destinationPort)}`),
    );
    return new Set(names);
  }

  forwarded(): bigint {
    return this.#agent.datapath
      .counters()
      .reduce((sum, { reason, packets }) => (reason === 0 ? sum + packets : sum), 0n);
  }

  restartAgent(): void {
    this.#reader.close();
    this.#agent.close();
    this.#agent = this.#start();
    this.#reader = this.#listen();
  }

  async close(): Promise<void> {
    this.#reader.close();
    for (const { endpoint } of this.#agent.endpoints()) await this.#agent.removeEndpoint(endpoint);
    this.#agent.datapath.destroy();
    this.#agent.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Cast members that answer as well as ask. */
export const isServer = ({ labels }: CastMember): boolean => labels["kind"] === "echo";
export { CAST };
