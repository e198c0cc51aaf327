/**
 * @module
 * Routing rules: RTM_NEWRULE and its kin (include/uapi/linux/fib_rules.h).
 */
import type { Prefix } from "@skep/net";
import { isErrno } from "../sys/index.ts";
import { attributes, struct, string, u32, u8 } from "./codec.ts";
import { families, familyOf, ipAddress } from "./ip.ts";
import { present } from "./links.ts";
import { decodeBody, flags } from "./message.ts";
import { routeProtocols } from "./routes.ts";
import type { NetlinkSocket } from "./socket.ts";

export const ruleMessages = { new: 32, delete: 33, get: 34 } as const;

/** FR_ACT_*. */
export const ruleActions = { table: 1, goto: 2, nop: 3, blackhole: 6, unreachable: 7, prohibit: 8 } as const;
export type RuleAction = keyof typeof ruleActions;
const actionNames = new Map(
  Object.entries(ruleActions).map(([name, number]) => [number as number, name as RuleAction]),
);

/** FIB_RULE_INVERT. */
const invert = 2;

const range = struct({ start: "u16", end: "u16" });

const ruleLayout = {
  subject: "rule",
  header: struct({
    family: "u8",
    destinationLength: "u8",
    sourceLength: "u8",
    tos: "u8",
    table: "u8",
    _1: "u8",
    _2: "u8",
    action: "u8",
    flags: "u32",
  }),
  attributes: attributes({
    destination: [1, ipAddress],
    source: [2, ipAddress],
    inputInterface: [3, string],
    goto: [4, u32],
    priority: [6, u32],
    mark: [10, u32],
    suppressPrefixLength: [14, u32],
    table: [15, u32],
    markMask: [16, u32],
    outputInterface: [17, string],
    protocol: [21, u8],
    ipProtocol: [22, u8],
    sourcePorts: [23, range],
    destinationPorts: [24, range],
  }),
};

interface RuleMatch {
  readonly priority?: number;
  readonly source?: Prefix;
  readonly destination?: Prefix;
  /** Names, as rules keep them: the interface may come later. */
  readonly inputInterface?: string;
  readonly outputInterface?: string;
  readonly mark?: number;
  readonly markMask?: number;
  readonly ipProtocol?: number;
  readonly sourcePorts?: { readonly start: number; readonly end: number };
  readonly destinationPorts?: { readonly start: number; readonly end: number };
  readonly invert?: boolean;
}

export interface RuleInfo extends RuleMatch {
  readonly family: 4 | 6;
  readonly action: RuleAction | number;
  readonly table?: number;
  /** Priority of the rule that `goto` goes on with. */
  readonly goto?: number;
  /** RTPROT_*. */
  readonly protocol: number;
}

export interface RuleSpec extends RuleMatch {
  readonly family: 4 | 6;
  /** Default `table`. */
  readonly action?: RuleAction;
  readonly table?: number;
  readonly goto?: number;
  /** RTPROT_*; default static. */
  readonly protocol?: number;
}

type RuleAttributes = ReturnType<typeof ruleLayout.attributes.decode>;

const prefixOf = (address: RuleAttributes["source"], length: number): Prefix | undefined =>
  address && { address, length };

export function decodeRule(payload: Uint8Array): RuleInfo {
  const { header, attributes: found } = decodeBody(ruleLayout, payload);
  const { goto, priority, mark, markMask, inputInterface, outputInterface, ipProtocol, sourcePorts, destinationPorts } =
    found;
  const table = found.table ?? header.table;
  return present<RuleInfo>({
    family: header.family === families.inet ? 4 : 6,
    action: actionNames.get(header.action) ?? header.action,
    table: table === 0 ? undefined : table,
    source: prefixOf(found.source, header.sourceLength),
    destination: prefixOf(found.destination, header.destinationLength),
    invert: header.flags & invert ? true : undefined,
    protocol: found.protocol ?? 0,
    goto,
    priority,
    mark,
    markMask,
    inputInterface,
    outputInterface,
    ipProtocol,
    sourcePorts,
    destinationPorts,
  });
}

export function listRules(socket: NetlinkSocket): RuleInfo[] {
  return [families.inet, families.inet6].flatMap((family) =>
    socket
      .dump({ type: ruleMessages.get, layout: ruleLayout, header: { family } })
      .map((message) => decodeRule(message.payload)),
  );
}

function bodyOf(spec: RuleSpec) {
  const { action = "table", source, destination, table = 0, protocol = routeProtocols.static } = spec;
  const { goto, priority, mark, markMask, inputInterface, outputInterface, ipProtocol, sourcePorts, destinationPorts } =
    spec;
  const family = spec.family === 4 ? families.inet : families.inet6;
  for (const prefix of [source, destination])
    if (prefix && familyOf(prefix.address) !== family)
      throw new RangeError(`a rule of family ${spec.family} with another's address`);
  return {
    layout: ruleLayout,
    header: {
      family,
      destinationLength: destination?.length ?? 0,
      sourceLength: source?.length ?? 0,
      table: table < 256 ? table : 0,
      action: ruleActions[action],
      flags: spec.invert ? invert : 0,
    },
    attributes: {
      source: source?.address,
      destination: destination?.address,
      table: action === "table" ? table : undefined,
      goto,
      priority,
      mark,
      markMask,
      inputInterface,
      outputInterface,
      protocol,
      ipProtocol,
      sourcePorts,
      destinationPorts,
    },
  };
}

/** EEXIST where the same rule is there. */
export function addRule(socket: NetlinkSocket, spec: RuleSpec): void {
  socket.request({ type: ruleMessages.new, flags: flags.create | flags.exclusive, ...bodyOf(spec) });
}

/** Deletes the first rule that has everything that the spec names; false where none has. */
export function deleteRule(socket: NetlinkSocket, spec: RuleSpec): boolean {
  const body = bodyOf(spec);
  // The kernel compares what is given: who made the rule only when the caller says so.
  const attributes = { ...body.attributes, protocol: spec.protocol };
  try {
    socket.request({ type: ruleMessages.delete, ...body, attributes });
    return true;
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    throw error;
  }
}
