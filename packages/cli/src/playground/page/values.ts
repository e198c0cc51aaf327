/**
 * @module
 * Keys and values of maps as text, by the object's types.
 */
import { bytesCodec, codecOfType, decodeValues, type ValueCodec } from "@skep/machine";
import { formatAddress, ipv4 } from "@skep/net";
import type { MapSpec, ObjectSpec } from "@skep/object";

/** Members that are called so and have 32 bits are IPv4 addresses. */
const ADDRESS = /addr|source$|destination$/i;

/** `0a 00 00 01` */
export const bytesText = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join(" ");

/** A decoded value as TypeScript would write it, `10.0.0.1` for addresses. */
export function valueText(value: unknown, name = ""): string {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number")
    return ADDRESS.test(name) && value > 0xffff ? formatAddress(ipv4(value)) : String(value);
  if (typeof value === "string") return JSON.stringify(value);
  if (value instanceof Uint8Array) return bytesText(value);
  if (Array.isArray(value)) return `[${value.map((each) => valueText(each)).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  const members = Object.entries(value).map(([member, each]) => `${member}: ${valueText(each, member)}`);
  return `{ ${members.join(", ")} }`;
}

function codecOf(spec: ObjectSpec, typeId: number | undefined, size: number): ValueCodec<unknown> {
  const codec = spec.btf !== undefined && typeId !== undefined ? codecOfType(spec.btf, typeId) : bytesCodec(size);
  return codec.size === size ? codec : bytesCodec(size);
}

export interface MapReader {
  key(bytes: Uint8Array): string;
  value(bytes: Uint8Array): string;
}

/** Reads a map's bytes. Values of several CPUs are added up. */
export function mapReader(spec: ObjectSpec, map: MapSpec): MapReader {
  const key = codecOf(spec, map.keyTypeId, map.keySize);
  const value = codecOf(spec, map.valueTypeId, map.valueSize);
  const isPerCpu = map.type.includes("percpu");
  return {
    key: (bytes) => valueText(key.decode(bytes)),
    value: (bytes) => valueText(isPerCpu ? decodeValues(value, bytes).sum() : value.decode(bytes)),
  };
}
