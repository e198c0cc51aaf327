export { Agent } from "./agent.ts";
export { createLogger, errorText, type Logger, type LoggerOptions } from "./log.ts";
export { MetricsListenError, type MetricsOptions } from "./metrics.ts";
export { type AgentOptions, type EndpointStatus, RequestError } from "./options.ts";
export { answers, SocketTakenError } from "./server.ts";
export { flowContext, socketPath, startAgent, type RunningAgent, type StartOptions } from "./start.ts";
export { StateError } from "./state.ts";
export { ApiListenError, type LoopbackOptions, type LoopbackServer, serveLoopback } from "./loopback.ts";
export {
  agentPageRoutes,
  clientPageRoutes,
  type PageFiles,
  type PageOptions,
  type RunningPage,
  servePage,
} from "./page.ts";
export { HubbleListenError, type HubbleOptions } from "./hubble.ts";
export type { FlowLogOptions } from "./flow-logs.ts";
export type { OtlpOptions, OutputOptions } from "./outputs.ts";
