export { checkFlowMetrics, FlowMetrics, type FlowMetricsOptions } from "./flow-metrics.ts";
export { metricNames } from "./handlers.ts";
export { contextKinds, contextLabels, MetricsError } from "./options.ts";
