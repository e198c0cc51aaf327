/**
 * @module
 * What `skep up` is told about where flows go, as the agent takes it.
 */
import { resolve } from "node:path";
import type { FlowLogOptions, OtlpOptions, StartOptions } from "@skep/agent";
import type { flow } from "@skep/api";
import { FlowLogError, parseFilters } from "@skep/flows";
import { readAsked } from "../asked-file.ts";
import { usageError } from "../errors.ts";
import { bytesOption, durationOption } from "../output/duration.ts";
import { VERSION } from "../version.ts";

export interface OutputFlags {
  readonly metricsAddr?: string;
  readonly hubbleMetrics?: readonly string[];
  readonly flowBuffer?: number;
  readonly flowHistory?: string;
  readonly flowHistorySize: string;
  readonly flowHistoryAge: string;
  readonly hubbleExportFilePath?: string;
  readonly hubbleExportFileMaxSizeMb: number;
  readonly hubbleExportFileMaxBackups: number;
  readonly hubbleExportFileCompress?: boolean;
  readonly hubbleExportAllowlist?: readonly string[];
  readonly hubbleExportDenylist?: readonly string[];
  readonly hubbleExportFieldmask?: readonly string[];
  readonly hubbleExportFieldaggregate?: readonly string[];
  readonly hubbleExportAggregationInterval?: string;
  readonly hubbleFlowlogsConfigPath?: string;
  readonly otlpEndpoint?: string;
  readonly otlpSignals: string;
  readonly otlpHeader?: readonly string[];
  readonly otlpMetricsInterval: string;
  readonly otlpCaFile?: string;
  readonly otlpCertFile?: string;
  readonly otlpKeyFile?: string;
}

/** Where none is chosen: those that name no workload. */
const HUBBLE_METRICS = ["drop", "flow", "tcp", "icmp", "port-distribution", "policy"];

function headersOf(headers: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    headers.map((text) => {
      const [, name, value] = /^([\w-]+)=(.*)$/.exec(text) ?? [];
      if (name === undefined || value === undefined)
        throw usageError(`--otlp-header ${text}: a name and a value with = between, such as authorization=Bearer x`);
      return [name, value];
    }),
  );
}

function otlpOf(flags: OutputFlags): OtlpOptions | null {
  const { otlpEndpoint: endpoint, otlpCaFile, otlpCertFile, otlpKeyFile, otlpHeader } = flags;
  if (endpoint === undefined) {
    if (otlpHeader ?? otlpCaFile ?? otlpCertFile ?? otlpKeyFile)
      throw usageError("--otlp-endpoint is missing: the collector that the other --otlp flags are about");
    return null;
  }
  if ((otlpCertFile === undefined) !== (otlpKeyFile === undefined))
    throw usageError("--otlp-cert-file and --otlp-key-file go together");
  const tls = {
    ...(otlpCaFile === undefined ? {} : { ca: readAsked(otlpCaFile) }),
    ...(otlpCertFile === undefined ? {} : { cert: readAsked(otlpCertFile) }),
    ...(otlpKeyFile === undefined ? {} : { key: readAsked(otlpKeyFile) }),
  };
  return {
    endpoint,
    tls,
    headers: headersOf(otlpHeader ?? []),
    signals: flags.otlpSignals.split(",").map((each) => (each === "logs" ? "logs" : "metrics")),
    metricsMs: durationOption(flags.otlpMetricsInterval),
  };
}

function filtersOf(list: string, texts: readonly string[]): flow.FlowFilter[] {
  try {
    return texts.flatMap(parseFilters);
  } catch (error) {
    if (error instanceof FlowLogError) throw usageError(`--hubble-export-${list}: ${error.message}`, { cause: error });
    throw error;
  }
}

const pathsOf = (texts: readonly string[] = []): string[] =>
  texts.flatMap((text) => text.split(/[\s,]+/)).filter(Boolean);

function flowLogsOf(flags: OutputFlags): FlowLogOptions | null {
  const { hubbleExportFilePath: path, hubbleFlowlogsConfigPath: config } = flags;
  const [allow, deny] = [flags.hubbleExportAllowlist ?? [], flags.hubbleExportDenylist ?? []];
  const fieldMask = pathsOf(flags.hubbleExportFieldmask);
  const fieldAggregate = pathsOf(flags.hubbleExportFieldaggregate);
  const aggregationMs = durationOption(flags.hubbleExportAggregationInterval ?? "0s");
  if (fieldAggregate.length > 0 !== aggregationMs > 0)
    throw usageError("--hubble-export-fieldaggregate and --hubble-export-aggregation-interval go together");
  if (path === undefined && allow.length + deny.length + fieldMask.length + fieldAggregate.length > 0)
    throw usageError("--hubble-export-file-path is missing: where the flows of the other --hubble-export flags go");
  if (path === undefined && config === undefined) return null;
  const fixed = path === undefined ? null : path === "stdout" ? path : resolve(path);
  return {
    ...(fixed !== null && {
      fixed: {
        ...{ filePath: fixed, fieldMask },
        ...(aggregationMs > 0 && { fieldAggregate, aggregationMs }),
        include: filtersOf("allowlist", allow),
        exclude: filtersOf("denylist", deny),
        maxBytes: flags.hubbleExportFileMaxSizeMb << 20,
        maxBackups: flags.hubbleExportFileMaxBackups,
        compress: flags.hubbleExportFileCompress === true,
      },
    }),
    ...(config !== undefined && { configPath: resolve(config) }),
  };
}

type Outputs = Pick<StartOptions, "metrics" | "history" | "flowLogs" | "otlp" | "flowCapacity">;

/** Throws usage errors. */
export function outputsOf(flags: OutputFlags): Outputs {
  const { flowHistory, flowBuffer, metricsAddr: listen } = flags;
  const otlp = otlpOf(flags);
  const flowLogs = flowLogsOf(flags);
  const isCounted = listen !== undefined || otlp?.signals?.includes("metrics") === true;
  const metrics = { flows: flags.hubbleMetrics ?? HUBBLE_METRICS, version: VERSION };
  return {
    ...(isCounted && { metrics: { ...metrics, ...(listen === undefined ? {} : { listen }) } }),
    ...(flowHistory !== undefined && {
      history: {
        folder: resolve(flowHistory),
        maxBytes: bytesOption(flags.flowHistorySize),
        maxAgeSeconds: durationOption(flags.flowHistoryAge) / 1000,
      },
    }),
    ...(flowBuffer !== undefined && { flowCapacity: flowBuffer }),
    ...(flowLogs && { flowLogs }),
    ...(otlp && { otlp }),
  };
}
