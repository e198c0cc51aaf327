/**
 * @module
 * `skep service`: frontends and the backends behind them, in the columns of Cilium's `service list`.
 */
import { skep } from "@skep/api";
import { withClient } from "../client.ts";
import { usageError } from "../errors.ts";
import { plain } from "../output/plain.ts";
import { type ListFormat, note, printAs } from "../output/print.ts";
import { formatTable } from "../output/table.ts";
import { formatAddress, parseEndpoint } from "@skep/net";

export interface ServiceListOptions {
  readonly run: string;
  readonly output: ListFormat;
}

const hostPort = (address: string, port: number): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

function frontendText({ address, port, protocol, internalScope }: skep.Service): string {
  return `${hostPort(address, port)}/${protocol}${internalScope ? "/i" : ""}`;
}

function backendText({ address, port, protocol, state }: skep.ServiceBackend, at: number, of: skep.Service): string {
  return `${at + 1} => ${hostPort(address, port)}/${protocol || of.protocol} (${state})`;
}

function serviceTable(services: readonly skep.Service[]): string {
  return formatTable(
    ["ID", "Frontend", "Service Type", "Backend"],
    services.map((service) => [
      service.id === 0 ? "" : `${service.id}`,
      frontendText(service),
      service.type,
      service.error === ""
        ? service.backends.map((backend, at) => backendText(backend, at, service)).join("\n")
        : `not served: ${service.error}`,
    ]),
  );
}

export function serviceList({ run, output }: ServiceListOptions): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const { services } = await agent.listServices({});
    const values = services.map((service) => plain(skep.ServiceSchema, service));
    await printAs(output, values, () => serviceTable(services));
  });
}

/** By number, or all frontends of `namespace/name` (or `name`, in default). */
export function serviceGet({ run, output, service: wanted }: ServiceListOptions & { service: string }): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const [namespace, name] = wanted.includes("/") ? wanted.split("/", 2) : ["default", wanted];
    const { services } = await agent.listServices({});
    const found = services.filter(
      (each) => `${each.id}` === wanted || (each.namespace === namespace && each.name === name),
    );
    if (found.length === 0) throw usageError(`there is no service ${wanted}: skep service list shows them`);
    const values = found.map((service) => plain(skep.ServiceSchema, service));
    await printAs(output, values, () => details(found));
  });
}

export function serviceBackend({
  run,
  backend,
  state,
}: {
  readonly run: string;
  readonly backend: string;
  readonly state: string;
}): Promise<void> {
  const [, at = "", protocol = "TCP"] = /^(.*?)(?:\/(TCP|UDP|SCTP))?$/i.exec(backend) ?? [];
  const end = parseEndpoint(at);
  if (!end)
    throw usageError(`"${backend}" is no backend: ADDRESS:PORT or ADDRESS:PORT/PROTOCOL, as skep service list shows`);
  const address = formatAddress(end.address);
  const request = { address, port: end.port, protocol: protocol.toUpperCase(), state };
  return withClient(run, async ({ agent }) => {
    const { services } = await agent.setBackendState(request);
    note(`${hostPort(address, end.port)}/${request.protocol}: ${state}, in force for ${services.join(", ")}`);
  });
}

/** In the columns of Cilium's `kubectl get ippools`. */
export function servicePools({ run, output }: ServiceListOptions): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const { addressPools } = await agent.listServices({});
    const values = addressPools.map((pool) => plain(skep.AddressPoolSchema, pool));
    await printAs(output, values, () =>
      formatTable(
        ["Name", "Disabled", "Conflicting", "Addresses", "Available"],
        addressPools.map(({ name, disabled, conflicting, addresses, available }) => {
          const conflict = conflicting === "" ? "no" : conflicting === name ? "with itself" : `with ${conflicting}`;
          return [name, disabled ? "yes" : "no", conflict, addresses, available];
        }),
      ),
    );
  });
}

function details(services: readonly skep.Service[]): string {
  return formatTable(
    ["ID", "Frontend", "Service", "Service Type", "Flags", "Backend", "Workload"],
    services.map((service) => [
      `${service.id}`,
      frontendText(service),
      `${service.namespace}/${service.name}`,
      service.redirectTo === "" ? service.type : `${service.type} to ${service.redirectTo}`,
      service.flags.join(", "),
      service.backends.map((backend, at) => backendText(backend, at, service)).join("\n"),
      service.backends.map(({ workload }) => workload).join("\n"),
    ]),
  );
}
