import type { Decision } from "./context.ts";

/** The fields of a policy entry that say how narrow it is. */
export interface MatchEntry {
  readonly direction: "ingress" | "egress";
  readonly identity: number;
  readonly protocol: number;
  readonly port: number;
  readonly portPrefix: number;
  readonly cookie: number;
}

const covers = (entry: MatchEntry, port: number): boolean =>
  entry.portPrefix === 0 || entry.port >>> (16 - entry.portPrefix) === port >>> (16 - entry.portPrefix);

function matches(entry: MatchEntry, { direction, cookie, peer, protocol, port }: Decision): boolean {
  return (
    entry.direction === direction &&
    entry.cookie === cookie &&
    (entry.identity === 0 || entry.identity === peer) &&
    (entry.protocol === 0 || entry.protocol === protocol) &&
    covers(entry, port)
  );
}

/** Cilium's number: 0 none, 1 L3, 2 L3 and L4, 3 L4, 4 all, 5 L3 and protocol, 6 protocol. */
export function matchTypeOf(entries: readonly MatchEntry[], decision: Decision): number {
  const entry = entries.find((each) => matches(each, decision));
  if (!entry) return 0;
  const identity = entry.identity !== 0;
  if (entry.portPrefix > 0) return identity ? 2 : 3;
  if (entry.protocol !== 0) return identity ? 5 : 6;
  return identity ? 1 : 4;
}
