/**
 * @module
 * What the agent did, as Hubble's agent events: the difference between what control says now and what it said at the last look.
 */
import type { flow } from "@skep/api";
import { type Endpoint, SERVICE_FLAG, type ServiceRow } from "@skep/control";
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
import { formatAddress, formatPrefix, hostPrefix } from "@skep/net";
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
  #endpoints = new Map<number, EventEndpoint>();
  /** Revision in force at each endpoint, or what keeps it from being so. */
  #regenerated = new Map<number, string>();
  #policies = new Map<string, PolicyDocument>();
  #ipcache = new Map<string, number>();
  /** Frontends as they were told, by their number. */
  #services = new Map<number, string>();
  #servicesVersion = 0;

  /** Tells the start, and then all that there is. */
  constructor(agent: Agent, startedAt: bigint, emit: Emit) {
    this.#agent = agent;
    this.#emit = emit;
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
    const now = new Map(statuses.map(({ endpoint }) => [endpoint.id, eventEndpoint(endpoint)]));
    for (const [id, endpoint] of now) if (!this.#endpoints.has(id)) this.#emit(endpointCreated(endpoint));
    for (const { endpoint, revision } of statuses) {
      const error = failures.get(`endpoint ${endpoint.id}`);
      const state = error ?? String(revision);
      if (this.#regenerated.get(endpoint.id) === state) continue;
      this.#regenerated.set(endpoint.id, state);
      this.#emit(endpointRegenerated(eventEndpoint(endpoint), error));
    }
    for (const [id, endpoint] of this.#endpoints) {
      if (now.has(id)) continue;
      this.#regenerated.delete(id);
      this.#emit(endpointDeleted(endpoint));
    }
    this.#endpoints = now;
  }

  #lookAtIpcache(): void {
    const now = new Map(this.#agent.world.ipcache().map(({ prefix, identity }) => [formatPrefix(prefix), identity]));
    const owners = new Map<string, Endpoint>();
    for (const endpoint of this.#agent.world.endpoints())
      for (const address of [endpoint.address, endpoint.address6])
        if (address) owners.set(formatPrefix(hostPrefix(address)), endpoint);
    for (const [prefix, identity] of now) {
      const oldIdentity = this.#ipcache.get(prefix);
      if (oldIdentity === identity) continue;
      const owner = owners.get(prefix);
      this.#emit(
        ipcacheChanged({
          ...{ prefix, identity, ...(oldIdentity === undefined ? {} : { oldIdentity }) },
          ...(owner && { namespace: owner.namespace, podName: owner.name }),
        }),
      );
    }
    for (const [prefix, identity] of this.#ipcache)
      if (!now.has(prefix)) this.#emit(ipcacheChanged({ prefix, identity, deleted: true }));
    this.#ipcache = now;
  }

  /** Frontends that are not served have no number. */
  #lookAtServices(): void {
    const { servicesVersion } = this.#agent.world;
    if (servicesVersion === this.#servicesVersion) return;
    this.#servicesVersion = servicesVersion;
    const now = new Map<number, string>();
    for (const row of this.#agent.world.services()) {
      if (row.id === 0) continue;
      const service = eventService(row);
      const text = JSON.stringify(service);
      now.set(row.id, text);
      if (this.#services.get(row.id) !== text) this.#emit(serviceUpserted(service));
    }
    for (const id of this.#services.keys()) if (!now.has(id)) this.#emit(serviceDeleted(id));
    this.#services = now;
  }
}
