/**
 * @module
 * A node's flows with its history: who asks from a time on that the ring no longer reaches is given what the disk has of it first.
 */
import { create } from "@bufbuild/protobuf";
import { observer } from "@skep/api";
import { timestampOf } from "../decode/flow.ts";
import type { Observer } from "../observer.ts";
import type { FlowServer } from "../server.ts";
import { timeOf } from "./columns.ts";
import type { FlowHistory } from "./interface.ts";

async function* joined(
  parts: { readonly flows: Observer; readonly history: FlowHistory },
  request: observer.GetFlowsRequest,
  signal: AbortSignal,
): AsyncGenerator<observer.GetFlowsResponse, void, undefined> {
  const { flows, history } = parts;
  const inRing = flows.ring.at(flows.ring.oldest)?.time ?? null;
  const edge = inRing === null ? null : timestampOf(inRing - 1n);
  const isEarlier = request.until && edge ? timeOf({ time: request.until }) < timeOf({ time: edge }) : false;
  const until = edge === null || isEarlier ? request.until : edge;
  const past = create(observer.GetFlowsRequestSchema, { ...request, follow: false, ...(until && { until }) });
  const fromRing = (number: bigint): AsyncIterable<observer.GetFlowsResponse> =>
    flows.getFlows({ ...request, number, ...(edge && { since: timestampOf(inRing!) }) }, signal);
  const count = (response: observer.GetFlowsResponse): bigint => (response.responseTypes.case === "flow" ? 1n : 0n);
  if (request.number > 0n && !request.first) {
    const recent: observer.GetFlowsResponse[] = [];
    if (!isEarlier) for await (const each of flows.getFlows({ ...request, follow: false }, signal)) recent.push(each);
    const missing = request.number - recent.reduce((sum, each) => sum + count(each), 0n);
    if (missing > 0n) yield* history.flows({ ...past, number: missing }, signal);
    return yield* recent;
  }
  let left = request.number;
  for await (const each of history.flows(past, signal)) {
    yield each;
    left -= count(each);
  }
  if (isEarlier || (request.number > 0n && left <= 0n)) return;
  yield* fromRing(request.number > 0n ? left : 0n);
}

/** The same server, whose GetFlows reaches back onto the disk. */
export function withHistory(flows: Observer, history: FlowHistory): FlowServer {
  return {
    nodeName: flows.nodeName,
    getFlows(request, signal) {
      const { since, follow, number } = request;
      const oldest = flows.ring.at(flows.ring.oldest)?.time;
      const isBefore = since !== undefined && (oldest === undefined || timeOf({ time: since }) < oldest);
      // Checked here, before the first response.
      const recent = flows.getFlows(request, signal);
      if (!isBefore || (follow && number > 0n)) return recent;
      return joined({ flows, history }, request, signal);
    },
    getAgentEvents: (request, signal) => flows.getAgentEvents(request, signal),
    getNodes: () => flows.getNodes(),
    getNamespaces: () => flows.getNamespaces(),
    serverStatus: () => flows.serverStatus(),
  };
}
