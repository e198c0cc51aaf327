/**
 * @module
 * The datapath's object and schemas, for those who run or read it beside the machine that it is in force on.
 */
import type { MapDescriptor } from "@skep/bpf";
import type { BpfMachine, RawMap } from "@skep/machine";
import type { ObjectSpec } from "@skep/object";
import * as all from "./bpf/skep.bpf.ts";
import { CALLED, XDP_CALLED } from "./hooks.ts";
import { readSkepObject } from "./object.ts";
import { CONFIG_PIN, mapPin, openPinnedMap } from "./layouts.ts";
import { withMaglevSize } from "./load-balancer.ts";

/** `maglevSize`: slots of the tables in force. Default the object's own. */
export function datapathObject(maglevSize?: number): ObjectSpec {
  const spec = readSkepObject();
  return maglevSize === undefined ? spec : withMaglevSize(spec, maglevSize);
}

const isMap = (value: unknown): value is MapDescriptor =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "map";

/** Types of keys and values by map. */
export const datapathMaps: ReadonlyMap<string, MapDescriptor> = new Map(
  Object.values(all as Readonly<Record<string, unknown>>).flatMap((value) =>
    isMap(value) ? [[value.name, value] as const] : [],
  ),
);

/** Programs that others go on in: map of programs, place in it, program. */
export const datapathCalls: readonly { readonly map: string; readonly place: number; readonly program: string }[] = [
  ...CALLED.map(([place, program]) => ({ map: "skep_calls", place, program })),
  ...XDP_CALLED.map(([place, program]) => ({ map: "skep_xdp_calls", place, program })),
];

/** The read-only data of the programs in force; null where no datapath is pinned there. */
export function readConfig(bpf: BpfMachine, pins: string): Uint8Array | null {
  const map = bpf.openMap(mapPin(pins, CONFIG_PIN));
  try {
    return map?.get(new Uint8Array(4)) ?? null;
  } finally {
    map?.close();
  }
}

/** A pinned map; null where it is not pinned. To be closed. Throws LayoutError where another version has pinned it. */
export function openDatapathMap(
  bpf: BpfMachine,
  place: { pins: string; spec: ObjectSpec; name: string },
): RawMap | null {
  return openPinnedMap(bpf, place);
}
