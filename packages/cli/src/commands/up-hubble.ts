/**
 * @module
 * What `skep up` is told about Hubble's API on a port, as the agent takes it.
 */
import { resolve } from "node:path";
import type { HubbleOptions, StartOptions } from "@skep/agent";
import { usageError } from "../errors.ts";

export interface HubbleFlags {
  readonly clusterName?: string;
  readonly hubbleListenAddress?: string;
  readonly hubbleTlsCertFile?: string;
  readonly hubbleTlsKeyFile?: string;
  /** With commas between, too. */
  readonly hubbleTlsClientCaFiles?: readonly string[];
  readonly hubbleDisableTls?: boolean;
  readonly hubblePeerPort?: number;
}

/** As Cilium takes it (pkg/clustermesh/types). */
const CLUSTER = /^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$/;

function listenerOf(flags: HubbleFlags): HubbleOptions | null {
  const { hubbleListenAddress: listen, hubbleTlsCertFile: cert, hubbleTlsKeyFile: key } = flags;
  const clientCas = (flags.hubbleTlsClientCaFiles ?? []).flatMap((each) => each.split(",")).filter(Boolean);
  if (listen === undefined) {
    if (cert ?? key ?? clientCas[0])
      throw usageError("--hubble-listen-address is missing: where the other --hubble-tls flags are for");
    return null;
  }
  if (flags.hubbleDisableTls === true) return { listen };
  if ((cert === undefined) !== (key === undefined))
    throw usageError("--hubble-tls-cert-file and --hubble-tls-key-file go together");
  if (cert === undefined || key === undefined) {
    if (clientCas.length > 0) throw usageError("--hubble-tls-client-ca-files needs the node's own certificate");
    return { listen };
  }
  return { listen, tls: { cert: resolve(cert), key: resolve(key), clientCas: clientCas.map((file) => resolve(file)) } };
}

/** Throws usage errors. */
export function hubbleOf(flags: HubbleFlags): Pick<StartOptions, "hubble" | "hubblePeerPort" | "clusterName"> {
  const { clusterName, hubblePeerPort } = flags;
  if (clusterName !== undefined && !CLUSTER.test(clusterName))
    throw usageError(
      `--cluster-name ${clusterName}: at most 32 lower-case letters, digits and dashes, a letter or digit at both ends`,
    );
  const hubble = listenerOf(flags);
  return {
    ...(hubble && { hubble }),
    ...(hubblePeerPort !== undefined && { hubblePeerPort }),
    ...(clusterName !== undefined && { clusterName }),
  };
}
