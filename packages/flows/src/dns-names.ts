/**
 * @module
 * Which names an endpoint's addresses have: learned from what name servers answered it. Bounded, and each name only while its answer holds.
 */
import {
  type Address,
  canonicalDnsName,
  type DnsMessage,
  type DnsRecord,
  formatAddress,
  parseDnsMessage,
} from "@skep/net";

/** An answer that was delivered to a workload. */
export interface DnsAnswer {
  readonly endpoint: number;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  /** Null where it was too long to be looked at. */
  readonly message: Uint8Array | null;
}

export interface DnsNamesOptions {
  /**
   * Names are kept at least this long: connections outlive what they were opened for (Cilium's `tofqdns-min-ttl`, one hour where policies are
   * not concerned). Seconds.
   */
  readonly minTtl?: number;
  /** Pairs of name and address of one endpoint; the ones that end first go first. Default 1000. */
  readonly perEndpoint?: number;
  /** Pairs of all endpoints; beyond that nothing is learned until some end. Default 65,536. */
  readonly capacity?: number;
}

/** A name that an endpoint has resolved. */
export interface DnsNameRow {
  readonly endpoint: number;
  /** Without a dot at its end. */
  readonly name: string;
  readonly address: Address;
  /** Seconds, as the answer said. */
  readonly ttl: number;
  /** When the last answer came. Nanoseconds since 1970. */
  readonly answered: bigint;
  /** From when on flows have the name. */
  readonly learned: bigint;
  readonly expires: bigint;
}

/** What became of answers. */
export interface DnsCounts {
  /** Answers with addresses. */
  readonly learned: number;
  /** Errors, other questions, nothing found. */
  readonly empty: number;
  /** What is no DNS message. */
  readonly malformed: number;
  readonly tooLong: number;
  /** Pairs that gave way to others, or found no room. */
  readonly evicted: number;
  /** Pairs whose time had come. */
  readonly expired: number;
}

const SECOND = 1_000_000_000n;
const MINUTE = 60n * SECOND;
const HOUR = 3600;
/** Longer aliases than this lead nowhere. */
const MAX_ALIASES = 16;
const [INTERNET, QUERY, NO_ERROR] = [1, 0, 0];
const NONE: readonly string[] = [];

/** Clocks that are compared again and again go apart by so much at most. */
const SLACK = SECOND;

type Key = number | string;

/** IPv4 addresses are asked for with most flows: no text is made of them. */
function keyOf(address: Address): Key {
  if (address.family !== 4) return formatAddress(address);
  const [a = 0, b = 0, c = 0, d = 0] = address.bytes;
  return (a << 24) | (b << 16) | (c << 8) | d;
}

interface Known {
  readonly address: Address;
  readonly rows: Map<string, DnsNameRow>;
  /** The names between two moments at which none begins or ends. */
  names: readonly string[];
  from: bigint;
  until: bigint;
}

interface Found {
  readonly name: string;
  readonly addresses: readonly { readonly address: Address; readonly ttl: number }[];
}

/** The addresses that the answer gives to the name that was asked for, through its aliases; null where it gives none. */
function foundIn(message: DnsMessage): Found | null {
  const [question] = message.questions;
  if (!message.response || message.opcode !== QUERY || message.code !== NO_ERROR) return null;
  if (!question || message.questions.length !== 1 || question.class !== INTERNET) return null;
  const name = canonicalDnsName(question.name);
  if (name === null) return null;
  const ttls = aliasesOf(name, message.answers);
  const addresses = message.answers.flatMap(({ name: owner, class: own, ttl, data }) => {
    const before = ttls.get(canonicalDnsName(owner) ?? "");
    if (before === undefined || own !== INTERNET || (data.kind !== "A" && data.kind !== "AAAA")) return [];
    return [{ address: data.address, ttl: Math.min(before, ttl) }];
  });
  return addresses.length === 0 ? null : { name, addresses };
}

/** The name and what it stands for, with how long that holds. */
function aliasesOf(name: string, answers: readonly DnsRecord[]): Map<string, number> {
  const ttls = new Map([[name, Infinity]]);
  let at = name;
  for (let count = 0; count < MAX_ALIASES; count++) {
    const alias = answers.find((each) => each.data.kind === "CNAME" && canonicalDnsName(each.name) === at);
    if (alias?.data.kind !== "CNAME") break;
    const target = canonicalDnsName(alias.data.name);
    if (target === null || ttls.has(target)) break;
    ttls.set(target, Math.min(ttls.get(at) ?? Infinity, alias.ttl));
    at = target;
  }
  return ttls;
}

export class DnsNames {
  readonly #minTtl: number;
  readonly #perEndpoint: number;
  readonly #capacity: number;
  readonly #endpoints = new Map<number, Map<Key, Known>>();
  readonly #sizes = new Map<number, number>();
  readonly #counts = { learned: 0, empty: 0, malformed: 0, tooLong: 0, evicted: 0, expired: 0 };
  #size = 0;
  #expired = 0n;

  constructor({ minTtl = HOUR, perEndpoint = 1000, capacity = 65_536 }: DnsNamesOptions = {}) {
    this.#minTtl = minTtl;
    this.#perEndpoint = perEndpoint;
    this.#capacity = capacity;
  }

  get counts(): DnsCounts {
    return { ...this.#counts };
  }

  /** Pairs of name and address that are kept. */
  get size(): number {
    return this.#size;
  }

  /** Takes an answer in. Never throws: what cannot be read is counted. */
  learn({ endpoint, time, message: bytes }: DnsAnswer): void {
    if (bytes === null) {
      this.#counts.tooLong += 1;
      return;
    }
    const { message } = parseDnsMessage(bytes);
    if (message === null) {
      this.#counts.malformed += 1;
      return;
    }
    const found = foundIn(message);
    if (found === null) {
      this.#counts.empty += 1;
      return;
    }
    this.#counts.learned += 1;
    for (const { address, ttl } of found.addresses) {
      const expires = time + BigInt(Math.max(ttl, this.#minTtl)) * SECOND;
      this.#keep({ endpoint, name: found.name, address, ttl, answered: time, learned: time - SLACK, expires });
    }
  }

  #keep(row: DnsNameRow): void {
    const { endpoint, name, address } = row;
    const key = keyOf(address);
    const before = this.#endpoints.get(endpoint)?.get(key)?.rows.get(name);
    if (!before && !this.#makeRoom(endpoint, row.learned + SLACK)) return;
    let addresses = this.#endpoints.get(endpoint);
    if (!addresses) this.#endpoints.set(endpoint, (addresses = new Map<Key, Known>()));
    let known = addresses.get(key);
    if (!known) addresses.set(key, (known = { address, rows: new Map(), names: NONE, from: 0n, until: 0n }));
    // While the name was known it goes on being known: a flow of that time keeps it.
    const learned = before && before.expires >= row.learned ? before.learned : row.learned;
    const expires = before && before.expires > row.expires ? before.expires : row.expires;
    known.rows.set(name, { ...row, learned, expires });
    known.until = 0n;
    if (!before) this.#count(endpoint, 1);
  }

  #count(endpoint: number, change: number): void {
    this.#size += change;
    this.#sizes.set(endpoint, (this.#sizes.get(endpoint) ?? 0) + change);
  }

  /** Room for one more; false where all of it belongs to others. */
  #makeRoom(endpoint: number, now: bigint): boolean {
    const isFull = (): boolean => this.#size >= this.#capacity;
    if ((this.#sizes.get(endpoint) ?? 0) < this.#perEndpoint && !isFull()) return true;
    if (now - this.#expired >= SECOND) this.expire(now);
    const own = this.#sizes.get(endpoint) ?? 0;
    if (own < this.#perEndpoint && !isFull()) return true;
    this.#counts.evicted += 1;
    if (own === 0) return false;
    this.#dropFirst(endpoint);
    return true;
  }

  /** The tenth that ends first, so that the next ones find room without a look. */
  #dropFirst(endpoint: number): void {
    const rows = this.rows(endpoint).sort((a, b) => (a.expires < b.expires ? -1 : a.expires > b.expires ? 1 : 0));
    const count = Math.ceil(rows.length / 10);
    this.#counts.evicted += count - 1;
    for (const row of rows.slice(0, count)) this.#drop(row);
  }

  #drop({ endpoint, name, address }: DnsNameRow): void {
    const addresses = this.#endpoints.get(endpoint);
    const key = keyOf(address);
    const known = addresses?.get(key);
    if (!addresses || !known?.rows.delete(name)) return;
    known.until = 0n;
    if (known.rows.size === 0) addresses.delete(key);
    if (addresses.size === 0) this.#endpoints.delete(endpoint);
    this.#count(endpoint, -1);
    if (this.#sizes.get(endpoint) === 0) this.#sizes.delete(endpoint);
  }

  /** Names that had the address for the endpoint at the time (nanoseconds since 1970), sorted. */
  names(address: Address, endpoint: number, time: bigint): readonly string[] {
    const addresses = this.#endpoints.get(endpoint);
    if (!addresses) return NONE;
    const known = addresses.get(keyOf(address));
    if (!known) return NONE;
    if (time < known.from || time >= known.until) look(known, time);
    return known.names;
  }

  /** What is known, of one endpoint or of all. */
  rows(endpoint?: number): DnsNameRow[] {
    const maps = endpoint === undefined ? [...this.#endpoints.values()] : [this.#endpoints.get(endpoint)];
    return maps.flatMap((addresses) => [...(addresses?.values() ?? [])].flatMap(({ rows }) => [...rows.values()]));
  }

  /** Forgets what has ended. */
  expire(now: bigint): void {
    this.#expired = now;
    for (const row of this.rows()) {
      if (row.expires > now) continue;
      this.#drop(row);
      this.#counts.expired += 1;
    }
  }

  /** Forgets endpoints that are gone, whose numbers others may get, and each minute what has ended. */
  tidy(now: bigint, isThere: (endpoint: number) => boolean): void {
    if (now - this.#expired >= MINUTE) this.expire(now);
    for (const endpoint of [...this.#endpoints.keys()]) {
      if (isThere(endpoint)) continue;
      for (const row of this.rows(endpoint)) this.#drop(row);
    }
  }
}

/** The names at the time, and from when till when they are the same. */
function look(known: Known, time: bigint): void {
  let [from, until] = [0n, time + BigInt(HOUR) * SECOND];
  const names: string[] = [];
  for (const { name, learned, expires } of known.rows.values()) {
    if (learned <= time && time < expires) names.push(name);
    for (const edge of [learned, expires]) {
      if (edge <= time && edge > from) from = edge;
      if (edge > time && edge < until) until = edge;
    }
  }
  known.names = names.length === 0 ? NONE : names.sort();
  known.from = from;
  known.until = until;
}
