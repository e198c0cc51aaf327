import type { DataSection, MapSpec, ObjectSpec } from "@skep/object";

export type ConfigValue = number | bigint | boolean | Uint8Array;

/** A variable that is not there, or a value that does not fit it. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly variable: string;

  constructor(variable: string, why: string) {
    super(`config ${variable}: ${why}`);
    this.variable = variable;
  }
}

/** The value in memory: little endian, as long as the variable. Numbers may be signed or unsigned. */
export function encodeVariable(name: string, value: ConfigValue, size: number): Uint8Array {
  if (value instanceof Uint8Array) {
    if (value.byteLength !== size) throw new ConfigError(name, `${value.byteLength} bytes instead of ${size}`);
    return value;
  }
  if (![1, 2, 4, 8].includes(size)) throw new ConfigError(name, `it has ${size} bytes: give bytes, not a number`);
  if (typeof value === "number" && !Number.isSafeInteger(value))
    throw new ConfigError(name, `${value} is not an integer`);
  const whole = BigInt(value);
  const bits = BigInt(size * 8);
  if (whole < -(1n << (bits - 1n)) || whole >= 1n << bits)
    throw new ConfigError(name, `${value} does not fit ${size} bytes`);
  const out = new DataView(new ArrayBuffer(8));
  out.setBigUint64(0, BigInt.asUintN(64, whole), true);
  return new Uint8Array(out.buffer, 0, size);
}

/**
 * The data sections' contents with the variables of `config` set, by map name. A name that no section has is an error.
 * Throws `ConfigError`.
 */
export function configuredData(
  spec: ObjectSpec,
  config: Readonly<Record<string, ConfigValue>>,
): Map<string, Uint8Array> {
  const sections = Object.values(spec.maps).filter(hasData);
  const contents = new Map(sections.map((map) => [map.name, map.data.contents.slice()]));
  for (const [name, value] of Object.entries(config)) {
    const found = sections.flatMap((map) =>
      map.data.variables.filter((variable) => variable.name === name).map((variable) => ({ map, variable })),
    );
    const [place] = found;
    if (place === undefined) throw new ConfigError(name, "the object has no such variable");
    if (found.length > 1) throw new ConfigError(name, "the object has several variables of that name");
    const encoded = encodeVariable(name, value, place.variable.size);
    const bytes = isNetworkOrder(spec, place.variable.typeId, value) ? encoded.slice().reverse() : encoded;
    contents.get(place.map.name)?.set(bytes, place.variable.offset);
  }
  return contents;
}

/** A number for a `be16`, `be32` or `be64`, which the compiler writes as a typedef of that name. */
function isNetworkOrder(spec: ObjectSpec, typeId: number, value: ConfigValue): boolean {
  const type = spec.btf?.types[typeId - 1];
  return !(value instanceof Uint8Array) && type?.kind === "typedef" && /^be(16|32|64)$/.test(type.name);
}

function hasData(map: MapSpec): map is MapSpec & { readonly data: DataSection } {
  return map.data !== undefined;
}
