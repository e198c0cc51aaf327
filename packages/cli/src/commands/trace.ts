/**
 * @module
 * `skep trace packet`: what the datapath does with one packet, step by step.
 */
import { openLinux } from "@skep/linux";
import type { Machine } from "@skep/machine";
import { formatAddress, parseAddress } from "@skep/net";
import pc from "picocolors";
import { connect } from "../client.ts";
import { CliError, systemCode, usageError } from "../errors.ts";
import type { Plain } from "../output/plain.ts";
import { hasColor, type ListFormat, printAs } from "../output/print.ts";
import { formatTable } from "../output/table.ts";
import { notedPlace } from "../place.ts";
import { askNames, type Names, resolveName } from "../trace/names.ts";
import { answerTo, type TracedProtocol, wrongFlags } from "../trace/packet.ts";
import { openSimulated } from "../trace/simulated.ts";
import { type Stage, type Trace, Walk } from "../trace/walk.ts";

export interface TraceOptions {
  readonly run: string;
  readonly pins: string;
  readonly output: ListFormat;
  readonly from: string;
  readonly to: string;
  readonly protocol: TracedProtocol;
  readonly port: number;
  readonly sourcePort: number;
  readonly flags: string;
  readonly mark: number;
  readonly interface?: string;
  readonly ipv6?: boolean;
  /** False: the socket's programs do not run. */
  readonly socket: boolean;
  readonly answer?: boolean;
  /** Folder of policies and Pods: on the simulated machine. */
  readonly sim?: string;
}

interface Ground {
  readonly machine: Machine;
  readonly pins: string;
  readonly names: Omit<Names, "host">;
  close(): void;
}

/** Without an agent there are addresses and numbers, and no names. */
async function namesOf(run: string): Promise<Omit<Names, "host">> {
  const client = connect(run);
  try {
    return await askNames(client.agent);
  } catch (error) {
    const code = systemCode(error);
    if (code !== "ENOENT" && code !== "ECONNREFUSED") throw error;
    return { workloads: new Map(), services: new Map() };
  } finally {
    client.close();
  }
}

async function groundOf({ sim, run, pins }: TraceOptions): Promise<Ground> {
  if (sim !== undefined) return openSimulated(sim);
  const place = notedPlace(run);
  const machine = openLinux({ runFolder: run, ...(place?.netns ? { netns: place.netns } : {}) });
  return { machine, pins: place?.pins ?? pins, names: await namesOf(run), close: () => undefined };
}

/** 6 where one of the two is an IPv6 address. */
function familyOf({ from, to, ipv6 }: TraceOptions): 4 | 6 {
  const families = [from, to].map((text) => parseAddress(text)?.family);
  return ipv6 === true || families.includes(6) ? 6 : 4;
}

export function tracePackets(ground: Ground, options: TraceOptions): Trace[] {
  const wrong = wrongFlags(options.flags);
  if (wrong !== "") throw usageError(`"${wrong}" is no flag of TCP: S, A, F, R and P are`);
  const walk = new Walk(ground.machine, ground.pins);
  try {
    const family = familyOf(options);
    const own = ground.machine.net.host.addresses().map(({ prefix }) => formatAddress(prefix.address));
    const names = { ...ground.names, host: own.filter((text) => text !== "127.0.0.1" && text !== "::1") };
    const numbered = new Map(walk.endpoints.map(({ id, addresses }) => [String(id), addresses]));
    const all = { ...names, workloads: new Map([...numbered, ...names.workloads]) };
    const source = resolveName(options.from, all, family);
    const destination = resolveName(options.to, all, family);
    const { protocol, port, sourcePort, flags, mark, socket } = options;
    const packet = { source, destination, protocol, port: protocol === "icmp" ? 0 : port, sourcePort, flags };
    const traces = [walk.trace(packet, walk.originOf(source, options.interface), { socket, mark })];
    const { frame, at } = walk.end;
    const answer = options.answer === true && at ? answerTo(frame) : null;
    if (answer && at) traces.push(walk.trace(answer, at, { socket: false, mark: 0 }));
    return traces;
  } finally {
    walk.close();
  }
}

const plainTrace = ({ packet, stages, outcome }: Trace): Plain => ({
  packet,
  stages: stages.map(({ steps, ...stage }) => ({ ...stage, steps: steps.map((step) => ({ ...step })) })),
  outcome: { ...outcome },
});

function stageText({ hook, program, steps, verdict, packet }: Stage): string {
  const { bold, dim } = pc.createColors(hasColor());
  const head = `${bold(hook)}${program === "" ? "" : ` ${dim(program)}`}: ${verdict}\n`;
  const rows = steps.map(({ at, call, map, key, result }) => [`  ${at}`, call, map, key, result]);
  const table = rows.length === 0 ? "" : formatTable(["  WHERE", "DOES", "MAP", "KEY", "RESULT"], rows);
  return `${head}${table}  ${dim(packet)}\n`;
}

function traceText({ packet, stages, outcome }: Trace): string {
  const { green, red, bold } = pc.createColors(hasColor());
  const { verdict, text, reason } = outcome;
  const word = verdict === "dropped" ? red("dropped") : green(verdict === "host" ? "delivered" : verdict);
  return `${bold(packet)}\n\n${stages.map(stageText).join("\n")}\n${word}: ${text}${reason === 0 ? "" : ` (${reason})`}\n`;
}

/** Exit status 1 where a packet is dropped. */
export async function tracePacket(options: TraceOptions): Promise<number> {
  if (options.protocol !== "icmp" && options.port === 0) throw usageError("say which port it is for (--port)");
  const ground = await groundOf(options);
  try {
    const traces = tracePackets(ground, options);
    await printAs(options.output, traces.map(plainTrace), () => traces.map(traceText).join("\n"));
    return traces.some(({ outcome }) => outcome.verdict === "dropped") ? 1 : 0;
  } catch (error) {
    if (error instanceof Error && error.name === "LayoutError") throw new CliError(error.message, 1, { cause: error });
    throw error;
  } finally {
    ground.close();
  }
}
