// How long what is remembered of a flow lives after its last packet.
import { config, ktimeGetCoarseNs, u32 } from "@skep/bpf";

// Seconds: Cilium's names and defaults (bpf-ct-timeout-*, pkg/option/config.go).
export const lifetimeTcp = config("ct_tcp", u32, 8000);
export const lifetimeAny = config("ct_any", u32, 60);
export const lifetimeSyn = config("ct_tcp_syn", u32, 60);
export const lifetimeFin = config("ct_tcp_fin", u32, 10);
export const lifetimeServiceTcp = config("ct_service_tcp", u32, 8000);
export const lifetimeServiceAny = config("ct_service_any", u32, 60);
/** Of an entry to a service, whose other direction is not seen: the client has closed, and may still be sent to. */
export const lifetimeServiceGrace = config("ct_service_tcp_grace", u32, 60);

/** An unanswered flow is no longer safe in a full table when it has waited this long. */
export const PATIENCE = 10;

/** Seconds of CLOCK_MONOTONIC. */
export function clock(): u32 {
  return u32(ktimeGetCoarseNs() / 1_000_000_000n);
}
