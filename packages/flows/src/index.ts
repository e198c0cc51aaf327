export * from "./decode/clock.ts";
export type * from "./decode/context.ts";
export { buildFlow, timestampOf } from "./decode/flow.ts";
export { recordOf, recordOfFlow, type FlowRecord } from "./decode/record.ts";
export type { FlowKin } from "./decode/kin.ts";
export * from "./json.ts";
export { dropReasonText } from "@skep/datapath";
export { type DnsAnswer, type DnsCounts, DnsNames, type DnsNameRow, type DnsNamesOptions } from "./dns-names.ts";
export * from "./names/drop-reasons.ts";
export * from "./names/event-types.ts";
export * from "./names/identities.ts";
export { escapeTerminal } from "./print/color.ts";
export { connectionText, monitorLine, monitorTypes, type MonitorOptions } from "./print/monitor.ts";
export * from "./print/printer.ts";
export { formatTime, timeFormats, type TimeFormat } from "./print/time.ts";
export { FilterError } from "./filter/error.ts";
export { compileFilter, compileFilters, type FlowMatch } from "./filter/filter.ts";
export { compileMask } from "./filter/mask.ts";
export { compileSelector } from "./filter/selector.ts";
export { Observer, type ObserverOptions } from "./observer.ts";
export { DEFAULT_CAPACITY, MAX_CAPACITY, Ring } from "./ring.ts";
export { type FlowWorld, worldContext, type WorldContextOptions } from "./world-context.ts";
export { matchTypeOf, type MatchEntry } from "./decode/match-type.ts";
export { healthService, observerRoutes, type RoutesOptions } from "./routes.ts";
export { reflectionService } from "./reflection.ts";
export * from "./agent-events.ts";
export { Relay, type PeerClient, type RelayOptions, type RelayPeer } from "./relay/relay.ts";
export { type OpenPeer, ServicePeers, type ServicePeersOptions } from "./relay/peer-service.ts";
export { type Followed, FollowedList, mapFollowed, type PeerDirectory, type PeerRow, Peers } from "./peers.ts";
export type { FlowServer } from "./server.ts";
export {
  certificateName,
  MAX_REQUEST_BYTES,
  type Place,
  type Served,
  serveRoutes,
  type TlsFiles,
  TlsFileError,
} from "./serve.ts";
export * from "./metrics/index.ts";
export * from "./service-map/service-map.ts";
export { appOf, nodeOf, type NodeKind, type NodeName } from "./service-map/node.ts";
export { serviceMapStream, type Ticks, timelineOf } from "./service-map/stream.ts";
export * from "./history/interface.ts";
export { flowRoutes, type FlowRoutesOptions, jsonRow } from "./flow-routes.ts";
export { FlowRing, type FlowRingOptions, SLOT_BYTES } from "./flow-ring.ts";
export { HistoryEngineError } from "./history/duckdb.ts";
export { History, type HistoryOptions } from "./history/store.ts";
export { withHistory } from "./history/with-history.ts";
export { HistoryTakenError } from "./history/segments.ts";
export { RotatingFile, type RotationOptions } from "./export/rotating-file.ts";
export { FlowExporter, type FlowExporterOptions, type LineSink } from "./export/exporter.ts";
export { checkFlowLog, type FlowLog, FlowLogError, flowLogsOf, parseFilters } from "./export/config.ts";
export { collectorUrl, OtlpError, type SenderOptions } from "./otlp/sender.ts";
export { logRecordOf, OtlpLogs, type OtlpLogsOptions } from "./otlp/logs.ts";
export { metricsRequest, OtlpMetrics, type OtlpMetricsOptions } from "./otlp/metrics.ts";
