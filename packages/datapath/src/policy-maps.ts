/**
 * @module
 * Endpoints' policies: a map of its own for each, changed entry by entry or put in the old one's place whole.
 */
import type { BpfMachine, RawMap } from "@skep/machine";
import type { MapSpec, ObjectSpec } from "@skep/object";
import type { EndpointPolicy, PolicyDelta, PolicyMapEntry } from "@skep/policy";
import { decodePolicyEntry, decodeU32, encodePolicyEntry, encodeU32 } from "./encode.ts";

/** Inner maps that are open at the same time. */
const SWAPPED_AT_ONCE = 256;

export interface PolicyMapsOptions {
  readonly bpf: BpfMachine;
  /** The map of maps, by endpoint. */
  readonly outer: RawMap;
  readonly inner: MapSpec;
  /** What the endpoint's policy said before holds no longer, also where the change failed half-way. */
  readonly onChange: (endpoint: number) => void;
}

export class PolicyMaps {
  readonly #options: PolicyMapsOptions;
  /** Of the endpoints that have a policy; null: to be read from its map. Those that were written as a whole share their rows with control. */
  readonly #known = new Map<number, readonly PolicyMapEntry[] | null>();

  constructor(options: PolicyMapsOptions) {
    this.#options = options;
  }

  set(policies: readonly EndpointPolicy[]): void {
    for (let at = 0; at < policies.length; at += SWAPPED_AT_ONCE) this.#swap(policies.slice(at, at + SWAPPED_AT_ONCE));
  }

  #swap(policies: readonly EndpointPolicy[]): void {
    const { bpf, outer, inner: spec, onChange } = this.#options;
    const rows: [key: Uint8Array, inner: RawMap][] = [];
    try {
      for (const { endpoint, entries } of policies) {
        const inner = bpf.createMap(spec);
        rows.push([encodeU32(endpoint), inner]);
        inner.setAll(entries.map(encodePolicyEntry));
      }
      outer.setMaps(rows);
    } finally {
      for (const [, inner] of rows) inner.close();
      // Also after a failure, which may have swapped some: what was allowed is asked anew.
      for (const { endpoint } of policies) onChange(endpoint);
    }
    for (const { endpoint, entries } of policies) this.#known.set(endpoint, entries);
  }

  /** Throws where the endpoint has no policy. */
  update(endpoint: number, { put, take }: PolicyDelta): void {
    const inner = this.#open(endpoint);
    if (!inner) throw new Error(`endpoint ${endpoint} has no policy to change`);
    this.#known.set(endpoint, null);
    try {
      for (const entry of put) inner.set(...encodePolicyEntry(entry));
      for (const entry of take) inner.delete(encodePolicyEntry(entry)[0]);
    } finally {
      inner.close();
      this.#options.onChange(endpoint);
    }
  }

  of(endpoint: number): readonly PolicyMapEntry[] | null {
    const known = this.#known.get(endpoint);
    if (known) return known;
    const inner = this.#open(endpoint);
    if (!inner) return null;
    try {
      const entries = Array.from(inner.entries(), ([key, value]) => decodePolicyEntry(key, value));
      this.#known.set(endpoint, entries);
      return entries;
    } finally {
      inner.close();
    }
  }

  #open(endpoint: number): RawMap | null {
    return this.#known.has(endpoint) ? this.#options.outer.getMap(encodeU32(endpoint)) : null;
  }

  delete(endpoint: number): void {
    this.#options.outer.delete(encodeU32(endpoint));
    this.#known.delete(endpoint);
  }

  /** Those of other endpoints go. */
  keep(endpoints: ReadonlySet<number>): void {
    for (const [key] of [...this.#options.outer.entries()])
      if (!endpoints.has(decodeU32(key))) this.delete(decodeU32(key));
  }
}

/** With so many entries in each endpoint's map; those of an earlier size go with the next whole policy of their endpoint. */
export function withPolicySize(spec: ObjectSpec, maxEntries: number | undefined): ObjectSpec {
  const outer = spec.maps["skep_policy"];
  if (!outer?.inner) throw new Error("the datapath's object has no policy map");
  if (maxEntries === undefined) return spec;
  return { ...spec, maps: { ...spec.maps, skep_policy: { ...outer, inner: { ...outer.inner, maxEntries } } } };
}
