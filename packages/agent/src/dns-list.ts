/**
 * @module
 * DNS names that workloads have resolved, as the API and the metrics tell of them.
 */
import { create } from "@bufbuild/protobuf";
import { skep } from "@skep/api";
import type { DnsNameRow, DnsNames } from "@skep/flows";
import { formatAddress } from "@skep/net";

const MILLISECOND = 1_000_000n;

/** One for each name of an endpoint and each time at which addresses of it end. By endpoint and name. */
export function dnsNameMessages(dns: DnsNames): skep.DnsName[] {
  const found = new Map<string, DnsNameRow[]>();
  for (const row of dns.rows()) {
    const key = `${row.endpoint} ${row.name} ${row.expires}`;
    const same = found.get(key);
    if (same) same.push(row);
    else found.set(key, [row]);
  }
  return [...found.values()].map(messageOf).sort(byName);
}

function messageOf(rows: readonly DnsNameRow[]): skep.DnsName {
  const { endpoint, name, ttl, answered, expires } = rows[0]!;
  return create(skep.DnsNameSchema, {
    endpoint,
    fqdn: `${name}.`,
    ttl,
    lookupTime: answered / MILLISECOND,
    expirationTime: expires / MILLISECOND,
    ips: rows.map(({ address }) => formatAddress(address)).sort(),
  });
}

function byName(a: skep.DnsName, b: skep.DnsName): number {
  if (a.endpoint !== b.endpoint) return a.endpoint - b.endpoint;
  if (a.fqdn !== b.fqdn) return a.fqdn < b.fqdn ? -1 : 1;
  return Number(a.expirationTime - b.expirationTime);
}

export function dnsStatusMessage(dns: DnsNames): skep.DnsStatus {
  const { learned, empty, malformed, tooLong, evicted } = dns.counts;
  return create(skep.DnsStatusSchema, {
    entries: dns.size,
    ...{ learned: BigInt(learned), empty: BigInt(empty), malformed: BigInt(malformed) },
    ...{ tooLong: BigInt(tooLong), evicted: BigInt(evicted) },
  });
}

export interface ActiveNames {
  readonly endpoint: number;
  readonly names: number;
  readonly addresses: number;
}

/** Names and addresses of each endpoint that hold now (nanoseconds since 1970). */
export function activeNames(dns: DnsNames, now: bigint): ActiveNames[] {
  const found = new Map<number, { names: Set<string>; addresses: Set<string> }>();
  for (const { endpoint, name, address, expires } of dns.rows()) {
    if (expires <= now) continue;
    let own = found.get(endpoint);
    if (!own) found.set(endpoint, (own = { names: new Set(), addresses: new Set() }));
    own.names.add(name);
    own.addresses.add(formatAddress(address));
  }
  return [...found].map(([endpoint, { names, addresses }]) => ({
    ...{ endpoint, names: names.size, addresses: addresses.size },
  }));
}
