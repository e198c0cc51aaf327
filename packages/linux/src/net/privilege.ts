import { type Capability, capabilityBits, MissingCapabilityError } from "../bpf/capabilities.ts";
import { effectiveCapabilities } from "../sys/index.ts";

/**
 * Throws `MissingCapabilityError` before anything is tried. Unlike BPF, the network asks for capabilities in the user namespace that
 * owns the network namespace (ns_capable): a container's root may have them.
 */
export function needCapability(operation: string, ...wanted: readonly Capability[]): void {
  const missing = missingOf(effectiveCapabilities(), wanted);
  if (missing.length > 0) throw new MissingCapabilityError(operation, missing);
}

export function missingOf(effective: bigint, wanted: readonly Capability[]): Capability[] {
  return wanted.filter((name) => (effective & (1n << BigInt(capabilityBits[name]))) === 0n);
}
