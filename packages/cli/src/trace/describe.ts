/**
 * @module
 * Keys, values and records of the datapath's maps as text.
 */
import { codecOf, type MapDescriptor } from "@skep/bpf";
import { type DatapathEvent, datapathMaps, dropReasonText } from "@skep/datapath";
import { formatAddress, formatMac, fromMappedBytes } from "@skep/net";
import { protocolName } from "@skep/policy";

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
const isPadding = (name: string): boolean => /^pad\d*$/.test(name);

function addressText(words: Fields): string {
  const view = new DataView(new ArrayBuffer(16));
  ["w0", "w1", "w2", "w3"].forEach((name, at) => view.setUint32(4 * at, Number(words[name])));
  const bytes = new Uint8Array(view.buffer);
  return bytes.every((byte) => byte === 0) ? "" : formatAddress(fromMappedBytes(bytes));
}

/** Of long values, what the way depends on. */
const ENDPOINT = ["id", "identity", "ifindex", "flags", "generation"];
const isShown = (value: Fields, name: string): boolean =>
  !isPadding(name) && (!("hostMac" in value) || ENDPOINT.includes(name));

/** Addresses and MAC addresses in their own form; fields that are zero are left out. */
function plainText(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return String(value);
  if (!isFields(value)) return "";
  if ("w0" in value) return addressText(value);
  if (Object.keys(value).join() === "bytes") return formatMac(Uint8Array.from(value["bytes"] as number[]));
  const shown = Object.entries(value).flatMap(([name, each]) => {
    const text = isShown(value, name) ? plainText(each) : "";
    const isNothing = text === "" || text === "0" || text === "00:00:00:00:00:00";
    return isNothing ? [] : [`${name}=${name === "protocol" ? protocolName(Number(each)) : text}`];
  });
  return shown.length === 0 ? "zeros" : shown.join(" ");
}

function policyKeyText(key: Fields): string {
  const [a, b, c, d] = ["identity0", "identity1", "identity2", "identity3"].map((name) => Number(key[name]));
  const identity = (((a ?? 0) << 24) | ((b ?? 0) << 16) | ((c ?? 0) << 8) | (d ?? 0)) >>> 0;
  const direction = key["direction"] === 1 ? "ingress" : "egress";
  return `${direction} identity=${identity} ${protocolName(Number(key["protocol"]))} port=${String(key["port"])}`;
}

function prefixText({ prefixLength, address }: Fields): string {
  const text = addressText(address as Fields);
  const bits = Number(prefixLength);
  return text.includes(":") ? `${text}/${bits}` : `${text}/${Math.max(bits - 96, 0)}`;
}

function keyForm(decoded: unknown): string {
  if (!isFields(decoded)) return plainText(decoded);
  if ("identity0" in decoded) return policyKeyText(decoded);
  const names = Object.keys(decoded).filter((name) => !isPadding(name));
  return names.join() === "prefixLength,address" ? prefixText(decoded) : plainText(decoded);
}

/** `outer`: the map of maps that it stands in. */
export function descriptorOf(name: string, outer?: string): MapDescriptor | undefined {
  return outer === undefined ? datapathMaps.get(name) : datapathMaps.get(outer)?.inner;
}

const decode = (type: MapDescriptor["key"], bytes: Uint8Array): unknown =>
  type && bytes.length >= codecOf(type).size
    ? codecOf(type).read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
    : undefined;

const hex = (bytes: Uint8Array): string =>
  [...bytes.subarray(0, 32)].map((byte) => byte.toString(16).padStart(2, "0")).join("");

export function keyOf(descriptor: MapDescriptor | undefined, bytes: Uint8Array): string {
  const decoded = decode(descriptor?.key, bytes);
  if (decoded !== undefined) return keyForm(decoded);
  // Arrays and maps of programs have numbers.
  return bytes.length === 4 ? String(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)) : hex(bytes);
}

export function valueOf(descriptor: MapDescriptor | undefined, bytes: Uint8Array): string {
  const decoded = decode(descriptor?.value, bytes);
  return decoded === undefined ? hex(bytes) : plainText(decoded);
}

const POINTS: Readonly<Record<number, string>> = { 0: "to-endpoint", 3: "to-stack", 4: "to-overlay" };
const VERDICTS: Readonly<Record<number, string>> = { 0: "denied", 1: "allowed", 3: "audit" };

export function eventText(event: DatapathEvent): string {
  const where = `${event.direction}${event.endpoint === 0 ? "" : ` of endpoint ${event.endpoint}`}`;
  const ids = `identity ${event.sourceIdentity} to ${event.destinationIdentity}`;
  if (event.type === 1) return `drop ${event.reason}: ${dropReasonText(event.reason)}, ${where}, ${ids}`;
  if (event.type === 5) return `policy ${VERDICTS[event.reason] ?? event.reason}, ${where}, ${ids}`;
  return `trace ${POINTS[event.reason] ?? event.reason}, ${where}, ${ids}`;
}
