/**
 * @module
 * Pinned maps are opened only where their recorded layout is the one of this version.
 */
import { type BpfMachine, layoutHash, type RawMap } from "@skep/machine";
import type { ObjectSpec } from "@skep/object";
import { keyText } from "./encode.ts";

/** A pinned map whose layout is not that of this version: it is never reinterpreted. */
export class LayoutError extends Error {
  override readonly name = "LayoutError";
  readonly map: string;
  constructor(map: string) {
    super(`the pinned map ${map} has another layout than this version's: take the old datapath down first (skep down)`);
    this.map = map;
  }
}

/** Map name to the hash of its layout. */
const LAYOUTS = "skep_layouts";

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
    ...{ name: LAYOUTS, type: "hash", keySize: 16, valueSize: 8, maxEntries: 256, flags: 0, pinning: "none" },
  });
  made.pin(mapPin(pins, LAYOUTS));
  return made;
}

export function recordLayout(layouts: RawMap, spec: ObjectSpec, name: string): void {
  layouts.set(layoutKey(name), layoutOf(spec, name));
}

/** Throws LayoutError where the recorded layout of the map is another. */
export function checkLayout(layouts: RawMap, spec: ObjectSpec, name: string): void {
  const recorded = layouts.get(layoutKey(name));
  if (!recorded || keyText(recorded) !== keyText(layoutOf(spec, name))) throw new LayoutError(name);
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

function layoutOf(spec: ObjectSpec, name: string): Uint8Array {
  const map = spec.maps[name];
  if (!map || !spec.btf) throw new Error(`the datapath's object has no layout of ${name}`);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(`0x${layoutHash(map, spec.btf).slice(0, 16)}`), true);
  return bytes;
}

function layoutKey(name: string): Uint8Array {
  const key = new Uint8Array(16);
  key.set(new TextEncoder().encode(name).subarray(0, 16));
  return key;
}
