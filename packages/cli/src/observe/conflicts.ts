/**
 * @module
 * Filters that cannot be meant together, as Hubble's command refuses them (hubble/cmd/observe).
 */

/** Of each group one flag at most. */
const GROUPS: readonly (readonly string[])[] = [
  ["from-fqdn", "from-ip", "ip", "fqdn", "from-namespace", "namespace", "from-all-namespaces", "all-namespaces"],
  ["from-fqdn", "from-ip", "ip", "fqdn", "from-pod", "pod"],
  ["to-fqdn", "to-ip", "ip", "fqdn", "to-namespace", "namespace", "to-all-namespaces", "all-namespaces"],
  ["to-fqdn", "to-ip", "ip", "fqdn", "to-pod", "pod"],
  ...["to-pod", "from-pod", "to-service", "from-service"].map((name) => [name, "namespace", "all-namespaces"]),
  ...["label", "service", "port", "identity", "workload"].flatMap((name) => [
    [name, `from-${name}`],
    [name, `to-${name}`],
  ]),
  ["encrypted", "unencrypted"],
];

/** The first of two flags that cannot stand together; names without `--`. */
export function flagConflict(given: ReadonlySet<string>): string | null {
  for (const group of GROUPS) {
    const [first, second] = group.filter((name) => given.has(name));
    if (second !== undefined) return `filters --${first ?? ""} and --${second} cannot be combined`;
  }
  return null;
}

/** What is asked of one end. Pods and services: `[namespace/]prefix`. */
export interface EndNames {
  readonly namespaces: readonly string[];
  readonly pods: readonly string[];
  readonly services: readonly string[];
}

/** Empty where the name has none. */
const namespaceOf = (name: string): string => (name.includes("/") ? (name.split("/")[0] ?? "") : "");

/** Names of one end that no workload can have at once. */
export function nameConflict({ namespaces, pods, services }: EndNames): string | null {
  for (const namespace of namespaces) {
    const other = [...pods, ...services].find((name) => ![namespace, ""].includes(namespaceOf(name)));
    if (other !== undefined) return `namespace conflict: "${namespace}" does not contain "${other}"`;
  }
  for (const pod of pods.map(namespaceOf).filter((each) => each !== "")) {
    const other = services.find((name) => namespaceOf(name) !== pod);
    if (other !== undefined) return `namespace of service "${other}" conflict with pod "${pod}"`;
  }
  return null;
}
