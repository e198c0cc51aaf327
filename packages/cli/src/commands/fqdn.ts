/**
 * @module
 * `skep fqdn cache list`: DNS names that workloads have resolved, in Cilium's columns and with its field names.
 */
import type { skep } from "@skep/api";
import { patternRegExp } from "@skep/policy";
import { withClient } from "../client.ts";
import { type ListFormat, printAs } from "../output/print.ts";
import { formatTable } from "../output/table.ts";

export interface FqdnListOptions {
  readonly run: string;
  readonly output: ListFormat;
  readonly endpoint?: number;
  readonly matchpattern?: string;
}

/** Names are learned from answers alone. */
const SOURCE = "lookup";

const timeText = (milliseconds: bigint): string => new Date(Number(milliseconds)).toISOString();

const valueOf = ({ endpoint, fqdn, ttl, ips, lookupTime, expirationTime }: skep.DnsName) => ({
  "endpoint-id": endpoint,
  "expiration-time": timeText(expirationTime),
  fqdn,
  ips: [...ips],
  "lookup-time": timeText(lookupTime),
  source: SOURCE,
  ttl,
});

export function fqdnCacheList({ run, output, endpoint, matchpattern }: FqdnListOptions): Promise<void> {
  const pattern = matchpattern === undefined ? null : patternRegExp(matchpattern);
  return withClient(run, async ({ agent }) => {
    const { names } = await agent.listDnsNames({});
    const chosen = names.filter(
      (each) => (endpoint === undefined || each.endpoint === endpoint) && (pattern === null || pattern.test(each.fqdn)),
    );
    await printAs(output, chosen.map(valueOf), () =>
      formatTable(
        ["Endpoint", "Source", "FQDN", "TTL", "ExpirationTime", "IPs"],
        chosen.map(({ endpoint: id, fqdn, ttl, expirationTime, ips }) => [
          ...[`${id}`, SOURCE, fqdn, `${ttl}`, timeText(expirationTime), ips.join(",")],
        ]),
      ),
    );
  });
}
