/**
 * @module
 * What an agent does, as Hubble's agent events.
 */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { flow } from "@skep/api";
import { timestampOf } from "./decode/flow.ts";

type Init = MessageInitShape<typeof flow.AgentEventSchema>;
type Kind = flow.AgentEventType;

export interface EventEndpoint {
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  /** `k8s:app=web`. */
  readonly labels: readonly string[];
}

const made = (type: Kind, notification: NonNullable<Init["notification"]>): flow.AgentEvent =>
  create(flow.AgentEventSchema, { type, notification });

/** `time`: nanoseconds since 1970. */
export function agentStarted(time: bigint): flow.AgentEvent {
  return made(flow.AgentEventType.AGENT_STARTED, { case: "agentStart", value: { time: timestampOf(time) } });
}

export interface PolicyChange {
  /** Labels of the policies that changed, as `k8s:io.cilium.k8s.policy.name=rule1`. */
  readonly labels: readonly string[];
  readonly revision: number;
  readonly rules: number;
  readonly deleted?: boolean;
}

export function policyChanged({ labels, revision, rules, deleted }: PolicyChange): flow.AgentEvent {
  const type = deleted === true ? flow.AgentEventType.POLICY_DELETED : flow.AgentEventType.POLICY_UPDATED;
  const value = { labels: [...labels], revision: BigInt(revision), ruleCount: BigInt(rules) };
  return made(type, { case: "policyUpdate", value });
}

function endpointUpdate(type: Kind, { id, namespace, name, labels }: EventEndpoint): flow.AgentEvent {
  const value = { id: BigInt(id), labels: [...labels], podName: name, namespace };
  return made(type, { case: "endpointUpdate", value });
}

export function endpointCreated(endpoint: EventEndpoint): flow.AgentEvent {
  return endpointUpdate(flow.AgentEventType.ENDPOINT_CREATED, endpoint);
}

export function endpointDeleted(endpoint: EventEndpoint): flow.AgentEvent {
  return endpointUpdate(flow.AgentEventType.ENDPOINT_DELETED, endpoint);
}

/** The endpoint's policy was brought into the datapath; or not, with the error. */
export function endpointRegenerated(
  { id, labels }: Pick<EventEndpoint, "id" | "labels">,
  error?: string,
): flow.AgentEvent {
  const { ENDPOINT_REGENERATE_FAILURE: failure, ENDPOINT_REGENERATE_SUCCESS: success } = flow.AgentEventType;
  return made(error === undefined ? success : failure, {
    case: "endpointRegenerate",
    value: { id: BigInt(id), labels: [...labels], error: error ?? "" },
  });
}

export interface IpcacheChange {
  /** `10.0.0.1/32`. */
  readonly prefix: string;
  readonly identity: number;
  /** Absent: the prefix is new. */
  readonly oldIdentity?: number;
  readonly deleted?: boolean;
  readonly namespace?: string;
  readonly podName?: string;
}

export function ipcacheChanged(change: IpcacheChange): flow.AgentEvent {
  const { prefix, identity, oldIdentity, namespace, podName } = change;
  const type = change.deleted === true ? flow.AgentEventType.IPCACHE_DELETED : flow.AgentEventType.IPCACHE_UPSERTED;
  const value = {
    cidr: prefix,
    identity,
    ...(oldIdentity !== undefined && { oldIdentity }),
    namespace: namespace ?? "",
    podName: podName ?? "",
  };
  return made(type, { case: "ipcacheUpdate", value });
}

export interface EventService {
  /** Number of the frontend. */
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  /** `ClusterIP`, `NodePort`. */
  readonly type: string;
  readonly address: string;
  readonly port: number;
  readonly backends: readonly { readonly address: string; readonly port: number }[];
  /** Only backends of this node: for clients from outside, and for those in the cluster. */
  readonly isExternalLocal: boolean;
  readonly isInternalLocal: boolean;
}

const policyText = (isLocal: boolean): string => (isLocal ? "Local" : "Cluster");

export function serviceUpserted(service: EventService): flow.AgentEvent {
  const { id, namespace, name, type, address: ip, port, backends, isExternalLocal, isInternalLocal } = service;
  const value = {
    ...{ id, namespace, name, type },
    frontendAddress: { ip, port },
    backendAddresses: backends.map((backend) => ({ ip: backend.address, port: backend.port })),
    trafficPolicy: policyText(isExternalLocal),
    extTrafficPolicy: policyText(isExternalLocal),
    intTrafficPolicy: policyText(isInternalLocal),
  };
  return made(flow.AgentEventType.SERVICE_UPSERTED, { case: "serviceUpsert", value });
}

export function serviceDeleted(id: number): flow.AgentEvent {
  return made(flow.AgentEventType.SERVICE_DELETED, { case: "serviceDelete", value: { id } });
}
