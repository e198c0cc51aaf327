/**
 * @module
 * The tables and the maps as text: what people and tests read.
 */
import { formatPrefix } from "@skep/net";
import { addressText, compareText, hostText } from "./key.ts";
import type { FrontendStatus, LoadBalancer } from "./load-balancer.ts";
import type { Instance, Service } from "./model.ts";
import { ALGORITHM, type LoadBalancerRows, type MaglevRow, type ServiceSlotRow } from "./rows.ts";
import { algorithmText, backendStateText, durationText, flagTexts } from "./text.ts";

export interface TextTable {
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

// ---- tables ----

export function servicesTable(balancer: LoadBalancer): TextTable {
  return {
    header: ["Name", "Source", "PortNames", "TrafficPolicy", "Flags"],
    rows: balancer
      .services()
      .map((service) => [
        service.name,
        service.source,
        portNamesText(service),
        trafficPolicyText(service),
        serviceFlagsText(service),
      ]),
  };
}

function portNamesText({ portNames }: Service): string {
  const sorted = [...portNames].sort((a, b) => compareText(a.name, b.name));
  return sorted.map(({ name, port }) => `${name}=${port}`).join(", ");
}

function trafficPolicyText({ externalLocal, internalLocal }: Service): string {
  const text = (local: boolean): string => (local ? "Local" : "Cluster");
  if (externalLocal === internalLocal) return text(externalLocal);
  return `Ext=${text(externalLocal)}, Int=${text(internalLocal)}`;
}

function serviceFlagsText(service: Service): string {
  const { affinityTimeout, sourceRanges, forwardingMode, trafficDistribution, loadBalancerClass } = service;
  const flags: readonly (readonly [unknown, string])[] = [
    [affinityTimeout, `SessionAffinity=${durationText(affinityTimeout)}`],
    [sourceRanges.length, `SourceRanges=${sourceRanges.map(formatPrefix).join(", ")}`],
    [service.sourceRangesDeny, "SourceRangesPolicy=deny"],
    [service.healthCheckNodePort, `HealthCheckNodePort=${service.healthCheckNodePort}`],
    [service.loopbackHostPort, "LoopbackHostPort=true"],
    [service.algorithm !== ALGORITHM.UNDEFINED, `ExplicitLBAlgorithm=${algorithmText(service.algorithm)}`],
    [forwardingMode, `ForwardingMode=${forwardingMode}`],
    [trafficDistribution, `TrafficDistribution=${trafficDistribution}`],
    [loadBalancerClass, `LoadBalancerClass=${loadBalancerClass ?? ""}`],
  ];
  return flags
    .flatMap(([on, text]) => (on ? [text] : []))
    .sort(compareText)
    .join(", ");
}

export function frontendsTable(balancer: LoadBalancer): TextTable {
  return {
    header: ["Address", "Type", "ServiceName", "PortName", "Backends", "RedirectTo", "Status", "Error", "ID"],
    rows: balancer.frontends().map(frontendRow),
  };
}

function frontendRow({ frontend, id, error }: FrontendStatus): string[] {
  return [
    addressText(frontend, frontend.scope),
    frontend.type,
    frontend.service,
    frontend.portName,
    frontend.backends.map((each) => addressText(each)).join(", "),
    frontend.redirectTo ?? "",
    error === "" ? "Done" : "Error",
    error,
    id === 0 ? "" : `${id}`,
  ];
}

/** One row for each address, with every service that it serves. */
export function backendsTable(balancer: LoadBalancer): TextTable {
  const rows = new Map<string, { readonly instance: Instance; readonly services: string[] }>();
  for (const { instance, service } of balancer.backends()) {
    const row = rows.get(instance.key) ?? { instance, services: [] };
    row.services.push(instanceText(instance, service));
    rows.set(instance.key, row);
  }
  return {
    header: ["Address", "Instances", "Shadows", "NodeName"],
    rows: [...rows.values()].map(({ instance, services }) => [
      addressText(instance),
      services.join(", "),
      "",
      instance.node,
    ]),
  };
}

function instanceText({ portNames, state }: Instance, service: string): string {
  const ports = portNames.length > 0 ? ` (${portNames.join(", ")})` : "";
  return `${service}${ports}${state === "active" ? "" : ` [${state}]`}`;
}

// ---- maps ----

/** One line for each entry of the maps, sorted, in the words of Cilium's `lb/maps-dump`. */
export function mapLines(rows: LoadBalancerRows): string[] {
  return [
    ...rows.affinity.map(({ id, backend }) => `AFF: ID=${id} BEID=${backend}`),
    ...rows.backends.map((row) => `BE: ID=${row.id} ADDR=${addressText(row)} STATE=${backendStateText(row.state)}`),
    ...rows.maglev.map(maglevLine),
    ...rows.reverse.map(({ id, address, port }) => `REV: ID=${id} ADDR=${hostText(address)}:${port}`),
    ...rows.skips.map(
      ({ source, address, port }) => `SKIPLB: SOURCE=${hostText(source)} ADDR=${hostText(address)}:${port}`,
    ),
    ...rows.sourceRanges.map(({ id, prefix }) => `SRCRANGE: ID=${id} CIDR=${formatPrefix(prefix)}`),
    ...rows.services.map(serviceLine),
  ].sort(compareText);
}

function serviceLine(row: ServiceSlotRow): string {
  const flags = flagTexts(row.flags).join("+");
  const master = `LBALG=${algorithmText(row.algorithm)} AFFTimeout=${row.affinityTimeout}`;
  const head = `SVC: ID=${row.id} ADDR=${addressText(row, row.scope)} SLOT=${row.slot}`;
  const middle = row.slot === 0 ? master : `BEID=${row.backend}`;
  return `${head} ${middle} COUNT=${row.count} QCOUNT=${row.quarantined} FLAGS=${flags}`;
}

function maglevLine({ id, table }: MaglevRow): string {
  const counts = new Map<number, number>();
  for (const backend of table) counts.set(backend, (counts.get(backend) ?? 0) + 1);
  const sorted = [...counts].sort(([a], [b]) => a - b);
  return `MAGLEV: ID=${id} INNER=[${sorted.map(([backend, count]) => `${backend}(${count})`).join(", ")}]`;
}

// ---- what the command line prints ----

/** `skep bpf lb list`: a frontend's slots with their backends, as Cilium's command prints them. */
export function lbListTable(rows: LoadBalancerRows): TextTable {
  const backends = new Map(rows.backends.map((row) => [row.id, row]));
  const sorted = [...rows.services].sort(
    (a, b) => compareText(addressText(a, a.scope), addressText(b, b.scope)) || a.slot - b.slot,
  );
  return {
    header: ["SERVICE ADDRESS", "BACKEND ADDRESS (REVNAT_ID) (SLOT)"],
    rows: sorted.map((row) => {
      const backend = backends.get(row.backend);
      const at = backend ? addressText(backend) : `0.0.0.0:0`;
      const flags = row.slot === 0 ? ` [${flagTexts(row.flags).join(", ")}]` : "";
      return [`${addressText(row, row.scope)} (${row.slot})`, `${at} (${row.id}) (${row.slot})${flags}`];
    }),
  };
}
