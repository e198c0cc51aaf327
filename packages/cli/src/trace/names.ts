/**
 * @module
 * Who is meant by a name: a workload, a service, the host, or an address.
 */
import type { skep } from "@skep/api";
import type { createClient } from "@connectrpc/connect";
import { type Address, parseAddress } from "@skep/net";
import { CliError, usageError } from "../errors.ts";

export interface Names {
  /** Workloads by `namespace/name` and by number: addresses of both families. */
  readonly workloads: ReadonlyMap<string, readonly string[]>;
  /** Services by `namespace/name`. */
  readonly services: ReadonlyMap<string, readonly string[]>;
  /** The host's own addresses. */
  readonly host: readonly string[];
}

type AgentCalls = Pick<ReturnType<typeof createClient<typeof skep.Agent>>, "listEndpoints" | "listServices">;

/** As the agent says. */
export async function askNames(agent: AgentCalls): Promise<Pick<Names, "workloads" | "services">> {
  const [{ endpoints }, { services }] = await Promise.all([agent.listEndpoints({}), agent.listServices({})]);
  const rows = endpoints.map(({ id, namespace, name, ipv4, ipv6 }) => ({
    ...{ id, namespace, name },
    addresses: [ipv4, ipv6],
  }));
  const fronts = services.filter(({ type }) => type === "ClusterIP");
  return {
    workloads: workloadNames(rows),
    services: collect(fronts.map(({ namespace, name, address }) => [`${namespace}/${name}`, [address]])),
  };
}

export function workloadNames(
  rows: readonly { id: number; namespace: string; name: string; addresses: readonly string[] }[],
): Map<string, readonly string[]> {
  return collect(
    rows.flatMap(({ id, namespace, name, addresses }) => {
      const known = addresses.filter((text) => text !== "");
      return [
        [`${namespace}/${name}`, known],
        [String(id), known],
      ] as const;
    }),
  );
}

export function collect(
  pairs: readonly (readonly [name: string, addresses: readonly string[]])[],
): Map<string, readonly string[]> {
  const found = new Map<string, readonly string[]>();
  for (const [name, addresses] of pairs) found.set(name, [...new Set([...(found.get(name) ?? []), ...addresses])]);
  return found;
}

/** Throws CliError for a name that is nobody's, or whose bearer has no address of the family. */
export function resolveName(text: string, names: Names, family: 4 | 6): Address {
  const plain = parseAddress(text);
  if (plain) {
    if (plain.family !== family) throw usageError(`${text} is of the other family`);
    return plain;
  }
  const full = text.includes("/") ? text : `default/${text}`;
  const found =
    text === "host" ? names.host : (names.workloads.get(text) ?? names.workloads.get(full) ?? names.services.get(full));
  if (!found) {
    const known = [...names.workloads.keys(), ...names.services.keys()].filter((name) => name.includes("/"));
    throw new CliError(
      `"${text}" is no address, workload or service${known.length === 0 ? "" : `: ${known.join(", ")} are`}`,
    );
  }
  const address = found.map((each) => parseAddress(each)).find((each) => each?.family === family);
  if (!address) throw new CliError(`"${text}" has no IPv${family} address`);
  return address;
}
