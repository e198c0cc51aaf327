/**
 * @module
 * Services as the agent's API tells them.
 */
import { flagTexts, protocolName, type ServiceRow, type World } from "@skep/control";
import { formatAddress } from "@skep/net";

/** One for each address of each frontend, in the order of their numbers; those without a number last. */
export function serviceMessages(world: World): object[] {
  const workloads = workloadsByAddress(world);
  const rows = world.services().sort((a, b) => (a.id || Infinity) - (b.id || Infinity));
  return rows.map((row) => serviceMessage(row, workloads));
}

export function addressPoolMessages(world: World): object[] {
  return world.addressPools().map(({ name, disabled, conflict, total, available }) => ({
    ...{ name, disabled, conflicting: conflict ?? "" },
    ...{ addresses: total.toString(), available: available.toString() },
  }));
}

function workloadsByAddress(world: World): Map<string, string> {
  const found = new Map<string, string>();
  for (const { address, address6, namespace, name } of world.endpoints())
    for (const each of [address, address6]) if (each) found.set(formatAddress(each), `${namespace}/${name}`);
  return found;
}

function serviceMessage(row: ServiceRow, workloads: ReadonlyMap<string, string>): object {
  return {
    id: row.id,
    namespace: row.namespace,
    name: row.name,
    type: row.type,
    address: formatAddress(row.address),
    port: row.port,
    protocol: protocolName(row.protocol),
    portName: row.portName,
    internalScope: row.scope === 1,
    flags: row.flags === undefined ? [] : flagTexts(row.flags).slice(1),
    redirectTo: row.redirectTo ?? "",
    error: row.error ?? "",
    backends: row.backends.map(({ address, port, protocol, state }) => ({
      address: formatAddress(address),
      port,
      protocol: protocolName(protocol),
      state,
      workload: workloads.get(formatAddress(address)) ?? "",
    })),
  };
}
