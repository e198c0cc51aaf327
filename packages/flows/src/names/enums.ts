import type { DescEnum } from "@bufbuild/protobuf";

/** The name of a value, or null: numbers that a newer version added are kept as numbers. */
export function enumName(desc: DescEnum, value: number): string | null {
  return desc.value[value]?.name ?? null;
}

/** The value of a name, in any case; null where there is none. */
export function enumValue(desc: DescEnum, name: string): number | null {
  const wanted = name.toUpperCase();
  return desc.values.find((value) => value.name.toUpperCase() === wanted)?.number ?? null;
}
