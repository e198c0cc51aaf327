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
  EXTERNAL_OTHER,
  HTTP,
  NODE,
  OTHER_HTTP,
  SERVICE_DOCUMENT,
  ZONE,
} from "./ground.ts";

const DROP = 1;
const POD_CIDR = "10.244.0.0/16";

export const must = <T>(value: T | null | undefined, what: string): T => {
  if (value === null || value === undefined) throw new Error(`${what} is missing`);
  return value;
};

export const addressOf = (text: string): Address => must(parseAddress(text), text);

/** The host's wire to a namespace with the two outside addresses, which route workloads' addresses back to it. */
export function wireOutside(host: Namespace, outside: Namespace): void {
  for (const name of ["all", "default"]) host.setSysctl(`net/ipv4/conf/${name}/rp_filter`, "0");
  host.setSysctl("net/ipv4/ip_forward", "1");
  const { host: near, peer } = host.createVeth("out0", { namespace: outside, name: "eth0" });
  host.addAddress(near.index, { address: addressOf(NODE), length: 24 });
  host.addAddress(near.index, { address: addressOf(EGRESS), length: 32 });
  for (const text of [EXTERNAL, EXTERNAL_OTHER])
    outside.addAddress(peer.index, { address: addressOf(text), length: 24 });
  host.setUp(near.index, true);
  outside.setUp(peer.index, true);
  outside.addRoute({
    destination: { address: addressOf("10.244.0.0"), length: 16 },
    gateway: addressOf(NODE),
    interface: peer.index,
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
      ...{ ...this.#place, podCidr: POD_CIDR, serviceCidr: "10.96.0.0/16", nodeName: "node1", watch: false, log },
      ...{ hostFirewall: true, nodeLabels: { "kubernetes.io/hostname": "node1", "topology.kubernetes.io/zone": ZONE } },
      ...{ devices: ["out0"], masquerade: false, egressGateway: true },
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
