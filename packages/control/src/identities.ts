/**
 * @module
 * One number for each set of labels, with Cilium's numbering (pkg/identity/numericidentity.go): 1 to 15 reserved, workloads from 256 to
 * 65535, prefixes with bit 24. Numbers are never given to another set while the old one may still be in a map.
 */
import {
  cidrLabel,
  formatLabels,
  parseLabels,
  reservedIdentities,
  reservedLabels,
  type PolicyIdentity,
  type ReservedName,
} from "@skep/policy";
import { formatPrefix, parsePrefix, type Prefix } from "@skep/net";
import type { Labels } from "./model.ts";
import { ChangeLog } from "./number-changes.ts";

const FIRST = 256;
const LAST = 65_535;
const LOCAL_SCOPE = 1 << 24;

/** Every number of the scope is taken. */
export class IdentitiesExhaustedError extends Error {
  override readonly name = "IdentitiesExhaustedError";
  constructor() {
    super(`all ${LAST - FIRST + 1} identities are in use: remove workloads, or labels that tell them apart needlessly`);
  }
}

export interface IdentitySnapshot {
  /** Number to sorted labels. */
  readonly workloads: readonly (readonly [id: number, labels: readonly string[]])[];
  readonly prefixes: readonly (readonly [id: number, prefix: string])[];
  /** Where the search for a free number goes on. */
  readonly next: number;
}

const RESERVED: readonly PolicyIdentity[] = (Object.keys(reservedIdentities) as ReservedName[])
  .filter((name): name is Exclude<ReservedName, "unknown"> => name !== "unknown")
  .map((name) => ({ id: reservedIdentities[name], labels: reservedLabels(name) }));

export class IdentityAllocator {
  /** Of the snapshot's tables. */
  readonly workloadChanges = new ChangeLog();
  readonly prefixChanges = new ChangeLog();
  readonly #byKey = new Map<string, PolicyIdentity>();
  readonly #byId = new Map<number, PolicyIdentity>(RESERVED.map((identity) => [identity.id, identity]));
  readonly #byPrefix = new Map<string, PolicyIdentity>();
  #next = FIRST;
  /** Below it no number of a prefix is free. */
  #freePrefix = LOCAL_SCOPE + 1;

  /** The number of a set of labels, given at the first call. Throws IdentitiesExhaustedError. */
  allocate(labels: Labels): PolicyIdentity {
    const key = formatLabels(labels).join(";");
    const known = this.#byKey.get(key);
    if (known) return known;
    const identity = { id: this.#free(), labels };
    this.#add(key, identity);
    return identity;
  }

  /** Takes over a number that the whole cluster has for these labels. False where the number or the labels are taken otherwise. */
  fix(id: number, labels: Labels): boolean {
    const key = formatLabels(labels).join(";");
    const known = this.#byKey.get(key);
    if (known) return known.id === id;
    if (this.#byId.has(id)) return id < FIRST;
    this.#add(key, { id, labels });
    return true;
  }

  #add(key: string, identity: PolicyIdentity): void {
    this.#byKey.set(key, identity);
    this.#byId.set(identity.id, identity);
    this.workloadChanges.note(String(identity.id), formatLabels(identity.labels));
  }

  /** The local number of a prefix that a policy names. */
  allocatePrefix(prefix: Prefix): PolicyIdentity {
    const key = formatPrefix(prefix);
    const known = this.#byPrefix.get(key);
    if (known) return known;
    let id = this.#freePrefix;
    while (this.#byId.has(id)) id += 1;
    this.#freePrefix = id + 1;
    const identity = this.#prefixIdentity(id, prefix);
    this.#byPrefix.set(key, identity);
    this.#byId.set(id, identity);
    this.prefixChanges.note(key, id);
    return identity;
  }

  #prefixIdentity(id: number, prefix: Prefix): PolicyIdentity {
    const world = prefix.address.family === 4 ? "reserved:world-ipv4" : "reserved:world-ipv6";
    return { id, labels: { [cidrLabel(prefix)]: "", [world]: "" }, cidr: prefix };
  }

  #free(): number {
    for (let tried = FIRST; tried <= LAST; tried++) {
      const id = this.#next;
      this.#next = id === LAST ? FIRST : id + 1;
      if (!this.#byId.has(id)) return id;
    }
    throw new IdentitiesExhaustedError();
  }

  get(id: number): PolicyIdentity | null {
    return this.#byId.get(id) ?? null;
  }

  /** All of them, reserved ones included, by number. */
  list(): PolicyIdentity[] {
    return [...this.#byId.values()].sort((a, b) => a.id - b.id);
  }

  prefixes(): PolicyIdentity[] {
    return [...this.#byPrefix.values()];
  }

  /** Gives back what no endpoint and no policy uses any more. */
  retain(used: { readonly ids: ReadonlySet<number>; readonly prefixes: ReadonlySet<string> }): void {
    for (const identity of this.#byKey.values()) if (!used.ids.has(identity.id)) this.release(identity);
    this.retainPrefixes(used.prefixes);
  }

  /** Gives back a workload's number. */
  release({ id, labels }: PolicyIdentity): void {
    this.#byKey.delete(formatLabels(labels).join(";"));
    this.#byId.delete(id);
    this.workloadChanges.note(String(id), null);
  }

  /** Gives back the numbers of the other prefixes, and returns them. */
  retainPrefixes(used: ReadonlySet<string>): PolicyIdentity[] {
    const gone: PolicyIdentity[] = [];
    for (const [key, identity] of this.#byPrefix) {
      if (used.has(key)) continue;
      this.#byPrefix.delete(key);
      this.#byId.delete(identity.id);
      this.#freePrefix = Math.min(this.#freePrefix, identity.id);
      this.prefixChanges.note(key, null);
      gone.push(identity);
    }
    return gone;
  }

  hasPrefix(prefix: Prefix): boolean {
    return this.#byPrefix.has(formatPrefix(prefix));
  }

  /** Whether the number is of a set of labels that is no reserved one. */
  isWorkload(id: number): boolean {
    return id >= FIRST && id <= LAST && this.#byId.has(id);
  }

  get position(): number {
    return this.#next;
  }

  snapshot(): IdentitySnapshot {
    return {
      workloads: [...this.#byKey.values()].map(({ id, labels }) => [id, formatLabels(labels)] as const),
      prefixes: [...this.#byPrefix].map(([prefix, { id }]) => [id, prefix] as const),
      next: this.#next,
    };
  }

  restore(snapshot: IdentitySnapshot): void {
    for (const [id, texts] of snapshot.workloads) {
      const identity = { id, labels: parseLabels(texts) };
      this.#byKey.set(formatLabels(identity.labels).join(";"), identity);
      this.#byId.set(id, identity);
    }
    for (const [id, text] of snapshot.prefixes) {
      const prefix = parsePrefix(text);
      if (!prefix) continue;
      const identity = this.#prefixIdentity(id, prefix);
      this.#byPrefix.set(text, identity);
      this.#byId.set(id, identity);
    }
    this.#next = snapshot.next;
  }
}
