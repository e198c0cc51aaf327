/**
 * @module
 * What the agent did, as Hubble's agent events: the difference between what control says now and what it said at the last look.
 */
import type { flow } from "@skep/api";
import {
  type Endpoint,
  type IpcacheReader,
  type IpcacheRow,
  SERVICE_FLAG,
  type ServiceReader,
  type ServiceRow,
} from "@skep/control";
import {
  agentStarted,
  endpointCreated,
  endpointDeleted,
  endpointRegenerated,
  type EventEndpoint,
  ipcacheChanged,
  type EventService,
  policyChanged,
  serviceDeleted,
  serviceUpserted,
} from "@skep/flows";
import { formatAddress, formatPrefix } from "@skep/net";
import type { PolicyDocument } from "@skep/policy";
import type { Agent } from "./agent.ts";

type Emit = (event: flow.AgentEvent) => void;

const labelsOf = (labels: Readonly<Record<string, string>>): string[] =>
  Object.entries(labels)
    .map(([key, value]) => (value === "" ? key : `${key}=${value}`))
    .sort();

const eventEndpoint = ({ id, namespace, name, labels }: Endpoint): EventEndpoint => ({
  ...{ id, namespace, name },
  labels: labelsOf(labels),
});

const policyKey = ({ kind, namespace, name }: PolicyDocument): string => `${kind} ${namespace}/${name}`;

/** As Cilium labels what comes from a policy (pkg/policy/utils). */
const policyLabels = ({ kind, namespace, name }: PolicyDocument): string[] => [
  `k8s:io.cilium.k8s.policy.derived-from=${kind}`,
  `k8s:io.cilium.k8s.policy.name=${name}`,
  ...(namespace === "" ? [] : [`k8s:io.cilium.k8s.policy.namespace=${namespace}`]),
];

function eventService({ id, namespace, name, type, address, port, flags = 0, backends }: ServiceRow): EventService {
  return {
    ...{ id, namespace, name, type, address: formatAddress(address), port },
    backends: backends.map((backend) => ({ address: formatAddress(backend.address), port: backend.port })),
    isExternalLocal: (flags & SERVICE_FLAG.EXTERNAL_LOCAL) !== 0,
    isInternalLocal: (flags & SERVICE_FLAG.INTERNAL_LOCAL) !== 0,
  };
}

export class Notices {
  readonly #agent: Agent;
  readonly #emit: Emit;
  #endpoints = new Map<number, Endpoint>();
  /** Version of the policy in force at each endpoint, or what keeps it from being so. */
  #regenerated = new Map<number, string | number>();
  #policies = new Map<string, PolicyDocument>();
  readonly #ipcache = new Map<string, number>();
  readonly #readIpcache: IpcacheReader;
  readonly #readServices: ServiceReader;
  /** Numbers of each frontend's addresses, and marks of what was told of them, in turn. */
  readonly #services = new Map<string, readonly number[]>();
  #servicesVersion = 0;

  /** Tells the start, and then all that there is. */
  constructor(agent: Agent, startedAt: bigint, emit: Emit) {
    this.#agent = agent;
    this.#emit = emit;
    this.#readIpcache = agent.world.ipcacheReader();
    this.#readServices = agent.world.serviceReader();
    emit(agentStarted(startedAt));
    this.look();
  }

  look(): void {
    this.#lookAtPolicies();
    this.#lookAtEndpoints();
    this.#lookAtIpcache();
    this.#lookAtServices();
  }

  #lookAtPolicies(): void {
    const { world } = this.#agent;
    const now = new Map(world.documents().map((document) => [policyKey(document), document]));
    const told = (document: PolicyDocument, deleted: boolean): void =>
      this.#emit(
        policyChanged({
          labels: policyLabels(document),
          revision: world.revision,
          rules: document.rules.length,
          deleted,
        }),
      );
    for (const [key, document] of now) if (this.#policies.get(key)?.text !== document.text) told(document, false);
    for (const [key, document] of this.#policies) if (!now.has(key)) told(document, true);
    this.#policies = now;
  }

  #lookAtEndpoints(): void {
    const { failures } = this.#agent;
    const statuses = this.#agent.endpoints();
    const now = new Map(statuses.map(({ endpoint }) => [endpoint.id, endpoint]));
    for (const [id, endpoint] of now)
      if (!this.#endpoints.has(id)) this.#emit(endpointCreated(eventEndpoint(endpoint)));
    for (const { endpoint, version } of statuses) {
      const error = failures.get(`endpoint ${endpoint.id}`);
      const state = error ?? version;
      if (this.#regenerated.get(endpoint.id) === state) continue;
      this.#regenerated.set(endpoint.id, state);
      this.#emit(endpointRegenerated(eventEndpoint(endpoint), error));
    }
    for (const [id, endpoint] of this.#endpoints) {
      if (now.has(id)) continue;
      this.#regenerated.delete(id);
      this.#emit(endpointDeleted(eventEndpoint(endpoint)));
    }
    this.#endpoints = now;
  }

  #lookAtIpcache(): void {
    const { world } = this.#agent;
    const changes = this.#readIpcache();
    for (const row of changes?.written ?? world.ipcache()) this.#addressWritten(row);
    if (changes) for (const prefix of changes.removed) this.#addressRemoved(formatPrefix(prefix));
    else {
      const kept = new Set(world.ipcache().map(({ prefix }) => formatPrefix(prefix)));
      for (const prefix of this.#ipcache.keys()) if (!kept.has(prefix)) this.#addressRemoved(prefix);
    }
  }

  #addressWritten({ prefix, identity }: IpcacheRow): void {
    const text = formatPrefix(prefix);
    const oldIdentity = this.#ipcache.get(text);
    if (oldIdentity === identity) return;
    this.#ipcache.set(text, identity);
    this.#agent.activity.addressTold("upsert");
    const owner = this.#agent.world.endpointAt(prefix);
    this.#emit(
      ipcacheChanged({
        ...{ prefix: text, identity, ...(oldIdentity === undefined ? {} : { oldIdentity }) },
        ...(owner && { namespace: owner.namespace, podName: owner.name }),
      }),
    );
  }

  #addressRemoved(prefix: string): void {
    const identity = this.#ipcache.get(prefix);
    if (identity === undefined) return;
    this.#ipcache.delete(prefix);
    this.#agent.activity.addressTold("delete");
    this.#emit(ipcacheChanged({ prefix, identity, deleted: true }));
  }

  #lookAtServices(): void {
    const { world } = this.#agent;
    const { servicesVersion } = world;
    if (servicesVersion === this.#servicesVersion) return;
    this.#servicesVersion = servicesVersion;
    const { isAll, rows } = this.#readServices();
    const seen = new Set<string>();
    for (const [key, own] of rows) {
      seen.add(key);
      this.#lookAtFrontend(key, own);
    }
    if (isAll) for (const key of this.#services.keys()) if (!seen.has(key)) this.#lookAtFrontend(key, []);
  }

  /** What is not served has no number. */
  #lookAtFrontend(key: string, rows: readonly ServiceRow[]): void {
    const before = this.#services.get(key) ?? [];
    const now: number[] = [];
    for (const row of rows) {
      if (row.id === 0) continue;
      const service = eventService(row);
      const mark = markOf(JSON.stringify(service));
      const known = markAt(before, row.id);
      if (known !== mark) {
        this.#emit(serviceUpserted(service));
        this.#agent.activity.serviceTold(known === null ? "add" : "update");
      }
      now.push(row.id, mark);
    }
    for (let at = 0; at < before.length; at += 2) {
      const id = before[at] ?? 0;
      if (markAt(now, id) !== null) continue;
      this.#emit(serviceDeleted(id));
      this.#agent.activity.serviceTold("delete");
    }
    // A copy: a list that grew keeps room for more, and there is one for each frontend.
    if (now.length > 0) this.#services.set(key, now.slice());
    else this.#services.delete(key);
  }
}

function markAt(marks: readonly number[], id: number): number | null {
  for (let at = 0; at < marks.length; at += 2) if (marks[at] === id) return marks[at + 1] ?? null;
  return null;
}

/** 53 bits that stand for a text (FNV-1a, twice): there are thousands, and only whether they change is of interest. */
function markOf(text: string): number {
  let [low, high] = [0x811c_9dc5, 0x1000_0193];
  for (let at = 0; at < text.length; at++) {
    low = Math.imul(low ^ text.charCodeAt(at), 0x0100_0193);
    high = Math.imul(high ^ text.charCodeAt(at), 0x0100_01b5);
  }
  return (high >>> 11) * 0x1_0000_0000 + (low >>> 0);
}
