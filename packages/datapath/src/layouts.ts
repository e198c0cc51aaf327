/**
 * @module
 * What pinned maps hold, in words that the next version can read: they are opened only where their recorded layout is the one of this version.
 */
import { type BpfMachine, describeLayout, type RawMap } from "@skep/machine";
import type { ObjectSpec } from "@skep/object";

/** A pinned map whose layout is not that of this version: it is never reinterpreted. */
export class LayoutError extends Error {
  override readonly name = "LayoutError";
  readonly map: string;
  constructor(map: string, why?: string) {
    super(
      `the pinned map ${map} has another layout than this version's${why ? ` (${why})` : ""}: take the old datapath down first (skep down)`,
    );
    this.map = map;
  }
}

/** Map name to the text of its layout (`describeLayout`), filled up with zeros. */
export const LAYOUTS = "skep_layouts";
const TEXT_SIZE = 4096;
const BPF_F_NO_PREALLOC = 1;

/** The read-only data of the programs in force, and the name that it is pinned under. */
export const CONFIG_MAP = ".rodata";
export const CONFIG_PIN = "config";

export const mapPin = (pins: string, name: string): string => `${pins}/maps/${name}`;

/** The map of layouts; null where nothing is pinned. To be closed. */
export function openLayouts(bpf: BpfMachine, pins: string): RawMap | null {
  return bpf.openMap(mapPin(pins, LAYOUTS));
}

/** As {@link openLayouts}, made where there is none. */
export function makeLayouts(bpf: BpfMachine, pins: string): RawMap {
  const found = openLayouts(bpf, pins);
  if (found) return found;
  const made = bpf.createMap({
    ...{ name: LAYOUTS, type: "hash", keySize: 16, valueSize: TEXT_SIZE, maxEntries: 256, flags: BPF_F_NO_PREALLOC },
    pinning: "none",
  });
  made.pin(mapPin(pins, LAYOUTS));
  return made;
}

export function recordLayout(layouts: RawMap, spec: ObjectSpec, name: string): void {
  writeLayout(layouts, name, layoutOf(spec, name));
}

export function writeLayout(layouts: RawMap, name: string, layout: string): void {
  const bytes = new TextEncoder().encode(layout);
  if (bytes.length > TEXT_SIZE)
    throw new Error(`the layout of ${name} is ${bytes.length} bytes of text, over ${TEXT_SIZE}`);
  const value = new Uint8Array(TEXT_SIZE);
  value.set(bytes);
  layouts.set(layoutKey(name), value);
}

/** As it was recorded; null where it was not. */
export function recordedLayout(layouts: RawMap, name: string): string | null {
  const value = layouts.get(layoutKey(name));
  return value && new TextDecoder().decode(value.subarray(0, value.indexOf(0)));
}

/** Throws LayoutError where the recorded layout of the map is another. */
export function checkLayout(layouts: RawMap, spec: ObjectSpec, name: string): void {
  if (recordedLayout(layouts, name) !== layoutOf(spec, name)) throw new LayoutError(name);
}

/** One pinned map; null where it is not pinned. To be closed. */
export function openPinnedMap(bpf: BpfMachine, place: { pins: string; spec: ObjectSpec; name: string }): RawMap | null {
  const { pins, spec, name } = place;
  const layouts = openLayouts(bpf, pins);
  if (!layouts) return null;
  try {
    const map = bpf.openMap(mapPin(pins, name));
    if (!map) return null;
    try {
      checkLayout(layouts, spec, name);
      return map;
    } catch (error) {
      map.close();
      throw error;
    }
  } finally {
    layouts.close();
  }
}

export function layoutOf(spec: ObjectSpec, name: string): string {
  const map = spec.maps[name];
  if (!map || !spec.btf) throw new Error(`the datapath's object has no layout of ${name}`);
  return describeLayout(map, spec.btf);
}

function layoutKey(name: string): Uint8Array {
  const key = new Uint8Array(16);
  key.set(new TextEncoder().encode(name).subarray(0, 16));
  return key;
}
