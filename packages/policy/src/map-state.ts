import type { RuleOrigin } from "./rule.ts";

/** What a policy resolves to for one endpoint: the rows of its policy map. */
export interface PolicyMapEntry {
  readonly direction: "ingress" | "egress";
  /** Numeric identity of the peer; 0 any. */
  readonly identity: number;
  /** IANA number; 0 any (then port is any too). */
  readonly protocol: number;
  /** Destination port, the first of the range; ICMP: the type. Ignored where `portPrefix` is 0. */
  readonly port: number;
  /** Leading bits of `port` that count: 16 one port, 0 any port. */
  readonly portPrefix: number;
  /** 24 bits of priority, low byte 255 deny, 1 allow, 0 pass. The higher of two matching entries wins. */
  readonly precedence: number;
  readonly deny: boolean;
  /** 0: no proxy. */
  readonly proxyPort: number;
  /** Names the set of rules behind the entry. Never 0. */
  readonly cookie: number;
  /** Allowed because what denies it is only audited: the rules of the cookie are those that would deny. */
  readonly audit?: true;
}

/** The policy has more entries than the map holds: `entries` deny what does not fit. */
export interface PolicyOverflow {
  readonly entries: number;
  readonly limit: number;
  /** How many entries each rule has a part in, the costliest first. */
  readonly costs: readonly { readonly rule: RuleOrigin; readonly entries: number }[];
}

/**
 * The kernel looks up twice, with the peer's identity and with identity 0, takes the longest prefix of each
 * (identity, protocol, port) and then the higher precedence (on a tie the longer prefix): `entries` are written for that, covered ones are left out.
 * Where a direction is not enforced there is one entry that allows everything.
 */
export interface EndpointPolicy {
  readonly endpoint: number;
  readonly revision: number;
  readonly ingressEnforced: boolean;
  readonly egressEnforced: boolean;
  readonly entries: readonly PolicyMapEntry[];
  readonly overflow?: PolicyOverflow;
}
