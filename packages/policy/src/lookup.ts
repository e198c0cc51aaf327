import type { EndpointPolicy, PolicyMapEntry } from "./map-state.ts";
import type { Direction } from "./rule.ts";

export interface PacketKey {
  readonly direction: Direction;
  readonly identity: number;
  /** IANA number. */
  readonly protocol: number;
  /** Destination port; ICMP: the type. */
  readonly port: number;
}

/** The entry that the kernel finds for a packet, by its two look-ups. Null: denied by default. */
export function lookupEntry(policy: Pick<EndpointPolicy, "entries">, packet: PacketKey): PolicyMapEntry | null {
  const exact = packet.identity === 0 ? null : longest(policy.entries, packet, packet.identity);
  return choose(exact, longest(policy.entries, packet, 0));
}

/** The higher precedence, on a tie the longer prefix, then the entry for the identity. */
function choose(exact: PolicyMapEntry | null, any: PolicyMapEntry | null): PolicyMapEntry | null {
  if (!exact || !any) return exact ?? any;
  if (any.precedence !== exact.precedence) return any.precedence > exact.precedence ? any : exact;
  return prefixLength(any) > prefixLength(exact) ? any : exact;
}

/** The same for many packets: entries are filed by direction and identity first. */
export class PolicyIndex {
  private readonly filed = new Map<string, PolicyMapEntry[]>();

  constructor(policy: Pick<EndpointPolicy, "entries">) {
    for (const entry of policy.entries) {
      const key = `${entry.direction} ${entry.identity}`;
      const known = this.filed.get(key);
      if (known) known.push(entry);
      else this.filed.set(key, [entry]);
    }
  }

  lookup(packet: PacketKey): PolicyMapEntry | null {
    const { direction, identity } = packet;
    const any = longest(this.filed.get(`${direction} 0`) ?? [], packet, 0);
    const own = identity === 0 ? undefined : this.filed.get(`${direction} ${identity}`);
    return own ? choose(longest(own, packet, identity), any) : any;
  }
}

function longest(entries: readonly PolicyMapEntry[], packet: PacketKey, identity: number): PolicyMapEntry | null {
  let best: PolicyMapEntry | null = null;
  for (const entry of entries) {
    if (entry.direction !== packet.direction || entry.identity !== identity || !holds(entry, packet)) continue;
    if (!best || prefixLength(entry) > prefixLength(best)) best = entry;
  }
  return best;
}

function holds({ protocol, port, portPrefix }: PolicyMapEntry, packet: PacketKey): boolean {
  if (protocol === 0) return true;
  return protocol === packet.protocol && packet.port >> (16 - portPrefix) === port >> (16 - portPrefix);
}

/** Bits of protocol and port that count. */
function prefixLength({ protocol, portPrefix }: PolicyMapEntry): number {
  return protocol === 0 ? 0 : 8 + portPrefix;
}
