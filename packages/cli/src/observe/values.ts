/**
 * @module
 * Values of filter flags. What cannot be read is the caller's mistake: commander shows it with the flag.
 */
import { create, type DescEnum } from "@bufbuild/protobuf";
import { InvalidArgumentError } from "commander";
import { flow } from "@skep/api";
import { dropReasons, eventTypeNames, reservedIdentityNumber, tracePointByName, tracePointNames } from "@skep/flows";

function enumValue(desc: DescEnum, text: string): number {
  const wanted = text.trim().toUpperCase().replaceAll("-", "_");
  const found = desc.values.find((value) => value.name.toUpperCase() === wanted);
  if (found) return found.number;
  const names = desc.values.filter((value) => value.number !== 0).map((value) => value.name);
  throw new InvalidArgumentError(names.length > 12 ? "there is none of this name" : `one of ${names.join(", ")}`);
}

export function verdictValue(text: string): flow.Verdict {
  return enumValue(flow.VerdictSchema, text) as flow.Verdict;
}

export function directionValue(text: string): flow.TrafficDirection {
  return enumValue(flow.TrafficDirectionSchema, text) as flow.TrafficDirection;
}

/** A name of the enum, a code, or the text of a code. */
export function dropReasonValue(text: string): flow.DropReason {
  const lower = text.trim().toLowerCase();
  const found = dropReasons().find(
    (reason) => reason.isDrop && (`${reason.code}` === lower || reason.text.toLowerCase() === lower),
  );
  return (found ? found.code : enumValue(flow.DropReasonSchema, text)) as flow.DropReason;
}

export function ipVersionValue(text: string): flow.IPVersion {
  switch (text.toLowerCase().replace(/^ip/, "")) {
    case "v4":
    case "4":
      return flow.IPVersion.IPv4;
    case "v6":
    case "6":
      return flow.IPVersion.IPv6;
    case "none":
      return flow.IPVersion.IP_NOT_USED;
    default:
      throw new InvalidArgumentError("v4, v6 or none");
  }
}

export function identityValue(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const reserved = reservedIdentityNumber(text);
  if (reserved === null) throw new InvalidArgumentError("a number, or a reserved name such as world");
  return reserved;
}

/** `web` or `Deployment/web`. */
export function workloadValue(text: string): flow.Workload {
  const [kind, name] = text.includes("/") ? text.split("/", 2) : ["", text];
  return create(flow.WorkloadSchema, { kind: kind ?? "", name: name ?? "" });
}

const flagNames = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"] as const;

export function tcpFlagsValue(text: string): flow.TCPFlags {
  const wanted = text.toUpperCase().split(",");
  for (const each of wanted) {
    if (!flagNames.some((name) => name === each)) throw new InvalidArgumentError(`one of ${flagNames.join(", ")}`);
  }
  return create(flow.TCPFlagsSchema, Object.fromEntries(wanted.map((name) => [name, true])));
}

export function interfaceValue(text: string): flow.NetworkInterface {
  return create(flow.NetworkInterfaceSchema, /^\d+$/.test(text) ? { index: Number(text) } : { name: text });
}

export function header(text: string): flow.HTTPHeader {
  const colon = text.indexOf(":");
  if (colon < 1) throw new InvalidArgumentError("KEY:VALUE");
  return create(flow.HTTPHeaderSchema, { key: text.slice(0, colon), value: text.slice(colon + 1).trim() });
}

function subType(type: number, text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  if (type === eventTypeNames["trace"]) {
    const point = tracePointByName(text);
    if (point === null) throw new InvalidArgumentError(`one of ${tracePointNames.join(", ")}`);
    return point;
  }
  if (type === eventTypeNames["drop"]) return dropReasonValue(text);
  throw new InvalidArgumentError("this type has no sub types with names");
}

/** `trace`, `trace:to-endpoint`, `drop:133`, `4:3`. */
export function eventTypeFilter(text: string): flow.EventTypeFilter {
  const colon = text.indexOf(":");
  const name = colon === -1 ? text : text.slice(0, colon);
  const type = /^\d+$/.test(name) ? Number(name) : eventTypeNames[name];
  if (type === undefined) throw new InvalidArgumentError(`one of ${Object.keys(eventTypeNames).join(", ")}`);
  if (colon === -1) return create(flow.EventTypeFilterSchema, { type });
  return create(flow.EventTypeFilterSchema, {
    type,
    matchSubType: true,
    subType: subType(type, text.slice(colon + 1)),
  });
}
