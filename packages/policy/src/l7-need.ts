import { proxyNeed } from "./parse/warnings.ts";
import type { Direction, L7Rules, Listener, PortRule, TlsContext } from "./rule.ts";

/** What traffic that a proxy must see is to be checked for. */
export interface ProxyNeed {
  /** `tls` where only TLS is looked at, `listener` where a listener of its own is named. */
  readonly kind: L7Rules["kind"] | "tls" | "listener";
  readonly rules: readonly L7Rules["rules"][number][];
  readonly serverNames: readonly string[];
  readonly terminatingTls: TlsContext | null;
  readonly originatingTls: TlsContext | null;
  readonly listener: Listener | null;
}

/** Asked for the port of the proxy that serves the need; 0: there is none, and what needs it is denied. */
export type ProxyPorts = (need: ProxyNeed, at: { direction: Direction; protocol: number; port: number }) => number;

/** Priorities of proxies among each other (Cilium: pkg/policy/l4.go); lower wins. */
const priorities: Readonly<Record<string, number>> = {
  http: 101,
  grpc: 101,
  kafka: 106,
  tls: 116,
  dns: 121,
  listener: 126,
};
const OTHER_PRIORITY = 111;
/** 254 is kept for what a plain rule allows beside one that no proxy serves. */
const MAX_REDIRECT_BYTE = 253;
export const WIDENED_BYTE = 254;

export function needOf(port: PortRule): ProxyNeed | null {
  if (proxyNeed(port) === null) return null;
  const { l7, serverNames, terminatingTls, originatingTls, listener } = port;
  const kind = listener ? "listener" : (l7?.kind ?? "tls");
  return { kind, rules: l7?.rules ?? [], serverNames, terminatingTls, originatingTls, listener };
}

/** Low byte of the precedence of a redirect: above that of a plain allow, below that of a deny. */
export function redirectByte({ kind, listener }: ProxyNeed): number {
  const priority = listener && listener.priority > 0 ? listener.priority : (priorities[kind] ?? OTHER_PRIORITY);
  return Math.min(MAX_REDIRECT_BYTE, 255 - priority);
}
