/**
 * @module
 * `skep up`: the agent in the foreground.
 */
import { statSync } from "node:fs";
import { totalmem } from "node:os";
import { resolve } from "node:path";
import { answers, createLogger, socketPath, SocketTakenError, startAgent } from "@skep/agent";
import { TableSizeError } from "@skep/datapath";
import { doctorSummary } from "../doctor.ts";
import { CliError, EXIT_USAGE, systemCode, usageError } from "../errors.ts";
import { parseLabels } from "../labels.ts";
import { pageFiles } from "../page-files.ts";
import { type HubbleFlags, hubbleOf } from "./up-hubble.ts";
import { type MonitorFlags, monitorOf } from "./up-monitor.ts";
import { type OutputFlags, outputsOf } from "./up-outputs.ts";
import { keepYoungSmall, release } from "../young-generation.ts";
import { balancingOf } from "./up-services.ts";
import { sizeFlags, type TableFlags, tablesOf } from "./up-tables.ts";
import { bpfMounts, notedPlace, notePlace } from "../place.ts";

export interface UpOptions extends OutputFlags, HubbleFlags, MonitorFlags, TableFlags {
  readonly directory: string;
  readonly run: string;
  readonly state: string;
  readonly pins: string;
  readonly cgroup: string;
  readonly netns?: string;
  readonly podCidr: string;
  /** `none`: workloads have IPv4 alone. */
  readonly podCidr6: string;
  readonly serviceCidr: string;
  /** Names with commas between. */
  readonly devices?: string;
  readonly masquerade: boolean;
  readonly nonMasqueradeCidr?: readonly string[];
  readonly departureTimes?: boolean;
  readonly routing: "native" | "tunnel" | "vxlan" | "geneve";
  readonly tunnelProtocol: "vxlan" | "geneve";
  readonly underlayProtocol: "ipv4" | "ipv6";
  readonly datapathMode: "veth" | "netkit" | "netkit-l2" | "auto";
  readonly nodeName?: string;
  readonly logFormat?: "text" | "json";
  readonly policyEnforcement?: "default" | "always" | "never";
  readonly egressGateway?: boolean;
  readonly socketSplice?: boolean;
  readonly hostFirewall?: boolean;
  readonly nodeLabel?: readonly string[];
  readonly policyVerdicts?: boolean;
  readonly apiAddr?: string;
  readonly uiAddr?: string;
  readonly lbAlgorithm: "random" | "maglev";
  readonly maglevTableSize: string;
  readonly lbMode: "snat" | "dsr" | "hybrid";
  readonly lbDsrDispatch: "opt" | "ipip" | "geneve";
  readonly prefilterCidrs?: string;
  readonly lbAcceleration: "disabled" | "native" | "generic";
  readonly lbNoBackend: "reject" | "drop";
  readonly nat46x64?: "services" | "gateway";
  readonly lbTerminate: "none" | "udp" | "all";
  readonly nodePortRange: string;
}

function checkFolder(directory: string): string {
  const path = resolve(directory);
  try {
    if (statSync(path).isDirectory()) return path;
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    throw usageError(`the folder ${directory} cannot be read: ${code}`, { cause: error });
  }
  throw usageError(`${directory} is not a folder`);
}

/** Resolves at the first signal that asks for the end; a second one ends at once. */
function untilAsked(): Promise<NodeJS.Signals> {
  return new Promise((done) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(1));
        done(signal);
      });
    }
  });
}

/** What the caller asked for cannot be. */
const REFUSED = [
  ...["MetricsError", "MetricsListenError", "ApiListenError", "HistoryEngineError", "HistoryTakenError"],
  ...["FlowLogError", "OtlpError", "HubbleListenError"],
];

/** Errors that say what is wrong in their first line, and how to mend it. */
function startError(error: unknown): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (REFUSED.includes(error.name)) return usageError(error.message, { cause: error });
  if (["MissingCapabilityError", "NotSupportedError", "NoCgroupError"].includes(error.name)) {
    return new CliError(error.message, EXIT_USAGE, { cause: error });
  }
  if (error instanceof TableSizeError) {
    const flags = sizeFlags(error.map);
    return usageError(flags === "" ? error.message : `${flags}: ${error.message}`, { cause: error });
  }
  if (error instanceof RangeError) return usageError(error.message, { cause: error });
  return error;
}

export async function up(options: UpOptions): Promise<number> {
  const directory = checkFolder(options.directory);
  const balancing = balancingOf(options);
  const tables = tablesOf(options, totalmem());
  const outputs = outputsOf(options);
  const hubble = hubbleOf(options);
  const monitor = monitorOf(options);
  const missing = await doctorSummary();
  if (missing !== null) {
    process.stderr.write(`${missing}\n`);
    return EXIT_USAGE;
  }
  if (await answers(socketPath(options.run))) throw new SocketTakenError(socketPath(options.run));
  keepYoungSmall();
  const asked = untilAsked();
  const { netns, nodeName } = options;
  const places = { run: resolve(options.run), state: resolve(options.state), pins: resolve(options.pins) };
  const place = { ...places, cgroup: options.cgroup, netns: netns === undefined ? null : resolve(netns) };
  const mountedBefore = notedPlace(places.run)?.mounts ?? [];
  notePlace(places.run, { ...place, mounts: mountedBefore });
  const others = new Set(bpfMounts());
  const log = createLogger({
    write: (line) => void process.stderr.write(line),
    now: () => Date.now(),
    format: options.logFormat ?? (process.stderr.isTTY ? "text" : "json"),
  });
  const { openLinux } = await import("@skep/linux");
  const machine = openLinux({ runFolder: places.run, ...(netns === undefined ? {} : { netns: resolve(netns) }) });
  const running = await startAgent({
    machine,
    directory,
    ...places,
    cgroup: options.cgroup,
    podCidr: options.podCidr,
    ...(options.podCidr6 === "none" ? {} : { podCidr6: options.podCidr6 }),
    serviceCidr: options.serviceCidr,
    ...(options.devices === undefined ? {} : { devices: options.devices.split(",").filter((name) => name !== "") }),
    masquerade: options.masquerade,
    datapathMode: options.datapathMode,
    routing: options.routing === "tunnel" ? options.tunnelProtocol : options.routing,
    tunnelFamily: options.underlayProtocol === "ipv6" ? 6 : 4,
    ...(options.departureTimes === true ? { departureTimes: true } : {}),
    nonMasqueradeCidrs: options.nonMasqueradeCidr ?? [],
    ...(nodeName === undefined ? {} : { nodeName }),
    ...hubble,
    ...(options.policyEnforcement === undefined ? {} : { enforcement: options.policyEnforcement }),
    ...(options.hostFirewall === true ? { hostFirewall: true } : {}),
    ...(options.egressGateway === true ? { egressGateway: true } : {}),
    ...(options.socketSplice === true ? { socketSplice: true } : {}),
    ...(options.policyVerdicts === true ? { verdictEvents: true } : {}),
    monitor,
    ...(options.apiAddr === undefined ? {} : { api: { listen: options.apiAddr } }),
    ...(options.uiAddr === undefined ? {} : { page: { listen: options.uiAddr, files: pageFiles } }),
    ...outputs,
    ...balancing,
    ...tables,
    nodeLabels: parseLabels(options.nodeLabel ?? []),
    log,
  })
    .catch((error: unknown) => {
      throw startError(error);
    })
    .finally(() => {
      const mounted = bpfMounts().filter((point) => !others.has(point));
      notePlace(places.run, { ...place, mounts: [...mountedBefore, ...mounted] });
    });
  const { socket, metrics, api, page, hubble: hubbleAddress } = running;
  release();
  log.info("ready", {
    ...{ socket, folder: directory },
    ...(metrics === undefined ? {} : { metrics }),
    ...(api === undefined ? {} : { api }),
    ...(page === undefined ? {} : { page }),
    ...(hubbleAddress === undefined ? {} : { hubble: hubbleAddress }),
  });
  log.info("ending; the datapath stays in force", { signal: await asked });
  await running.close();
  return 0;
}
