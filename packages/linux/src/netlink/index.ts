/**
 * @module
 * rtnetlink and its relatives in TypeScript. A `NetlinkSocket` speaks; the functions of each family take it first.
 */
export { MalformedMessageError } from "./codec.ts";
export { InterruptedDumpError, NetlinkError } from "./errors.ts";
export { NetlinkSocket, protocols, type Request } from "./socket.ts";
export { families } from "./ip.ts";
export { macvlanModes, type LinkData } from "./link-kinds.ts";
export {
  changeBridgePort,
  changeLink,
  createLink,
  deleteLink,
  findLink,
  linkFlags,
  listLinks,
  setXdp,
  UnknownLinkTypeError,
  xdpFlags,
  type BridgePort,
  type LinkChange,
  type LinkInfo,
  type LinkOptions,
  type LinkSpec,
  type VethPeer,
} from "./links.ts";
export {
  addAddress,
  addressFlags,
  deleteAddress,
  listAddresses,
  scopes,
  type AddressInfo,
  type AddressSpec,
} from "./addresses.ts";
export {
  addRoute,
  deleteRoute,
  listRoutes,
  lookupRoute,
  routeProtocols,
  routeTypes,
  tables,
  type Nexthop,
  type RouteInfo,
  type RouteSpec,
  type RouteType,
} from "./routes.ts";
export {
  addForwarding,
  deleteForwarding,
  deleteNeighbour,
  listForwarding,
  listNeighbours,
  neighbourFlags,
  neighbourStates,
  setNeighbour,
  type ForwardingSpec,
  type NeighbourInfo,
  type NeighbourSpec,
} from "./neighbours.ts";
export { addRule, deleteRule, listRules, ruleActions, type RuleAction, type RuleInfo, type RuleSpec } from "./rules.ts";
export {
  addBpfFilter,
  addClass,
  addQdisc,
  deleteClass,
  deleteFilter,
  deleteQdisc,
  handle,
  handles,
  listClasses,
  listFilters,
  listQdiscs,
  UnknownQdiscError,
  type BpfFilterSpec,
  type ClassInfo,
  type ClassSpec,
  type FilterInfo,
  type QdiscInfo,
  type QdiscOptions,
  type QdiscSpec,
  type TrafficStatistics,
} from "./traffic.ts";
export type { HtbClassOptions, HtbOptions, TbfOptions } from "./traffic-kinds.ts";
export type { BpfEncap, SegmentProgram } from "./lwt.ts";
export { findFamily, genericLayout, listFamilies, type GenericFamily } from "./generic.ts";
export { destroySocket, listSockets, socketStates, transport, type SocketInfo, type SocketState } from "./sockets.ts";
export { changesOf, watchNetwork, type NetworkChange, type NetworkWatch, type Subject } from "./watch.ts";
export * as codecs from "./codec.ts";
