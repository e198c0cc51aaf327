import type { observer } from "@skep/api";

/** What answers Hubble's Observer service: a node's ring, or a relay in front of several. */
export interface FlowServer {
  readonly nodeName: string;
  /** Throws FilterError before the first response. */
  getFlows(request: observer.GetFlowsRequest, signal: AbortSignal): AsyncIterable<observer.GetFlowsResponse>;
  getAgentEvents(
    request: observer.GetAgentEventsRequest,
    signal: AbortSignal,
  ): AsyncIterable<observer.GetAgentEventsResponse>;
  getNodes(): observer.GetNodesResponse | Promise<observer.GetNodesResponse>;
  getNamespaces(): observer.GetNamespacesResponse | Promise<observer.GetNamespacesResponse>;
  serverStatus(): observer.ServerStatusResponse | Promise<observer.ServerStatusResponse>;
}
