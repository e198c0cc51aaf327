/** Reserved identities (pkg/identity/reserved.go of Cilium). */
const reserved: Readonly<Record<number, string>> = {
  0: "unknown",
  1: "host",
  2: "world",
  3: "unmanaged",
  4: "health",
  5: "init",
  6: "remote-node",
  7: "kube-apiserver",
  8: "ingress",
  9: "world-ipv4",
  10: "world-ipv6",
};

/** `host` for 1; null for an identity that is not reserved. */
export function reservedIdentityName(identity: number): string | null {
  return reserved[identity] ?? null;
}

/** The number of a reserved identity, by name with or without `reserved:`; null where there is none. */
export function reservedIdentityNumber(name: string): number | null {
  const bare = name.replace(/^reserved:/, "");
  const found = Object.entries(reserved).find(([, each]) => each === bare);
  return found ? Number(found[0]) : null;
}
