/**
 * @module
 * The host's outer interfaces, as the machine has them.
 */
import type { DatapathDevice } from "@skep/datapath";
import type { Machine } from "@skep/machine";
import type { Address } from "@skep/net";

/** An interface that was asked for is not there. */
export class DeviceError extends RangeError {
  override readonly name = "DeviceError";
}

/** Each with its first global address of each family, where workloads are to leave with it. Throws DeviceError. */
export function outerDevices(
  machine: Machine,
  names: readonly string[],
  options: { readonly masquerade: boolean },
): DatapathDevice[] {
  const { host } = machine.net;
  const addresses = host.addresses();
  return names.map((interfaceName) => {
    const found = host.interface(interfaceName);
    if (!found)
      throw new DeviceError(
        `there is no interface ${interfaceName}: ${host
          .interfaces()
          .map(({ name }) => name)
          .join(", ")} are`,
      );
    const row = { interfaceName, interfaceIndex: found.index };
    if (!options.masquerade) return row;
    const own = addresses.filter(({ index }) => index === found.index).map(({ prefix }) => prefix.address);
    const address = own.find(({ family }) => family === 4);
    const address6 = own.find((each) => each.family === 6 && !isLinkLocal(each));
    return { ...row, ...(address ? { address } : {}), ...(address6 ? { address6 } : {}) };
  });
}

/** Every interface with its global addresses: `first` before the others. */
export function ownInterfaces(
  { net }: Machine,
  first: readonly string[],
): { readonly name: string; readonly addresses: readonly Address[] }[] {
  const addresses = net.host.addresses();
  const rows = net.host.interfaces().map(({ name, index }) => {
    const own = addresses.filter((each) => each.index === index).map(({ prefix }) => prefix.address);
    return { name, addresses: own.filter((each) => each.family === 4 || !isLinkLocal(each)) };
  });
  const isFirst = ({ name }: { name: string }): boolean => first.includes(name);
  return [...rows.filter(isFirst), ...rows.filter((row) => !isFirst(row) && row.name !== "lo")];
}

function isLinkLocal({ bytes }: Address): boolean {
  return bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80;
}

/** The host is a router for its workloads. */
export function forwardPackets({ net }: Machine): void {
  net.host.setSysctl("net/ipv4/ip_forward", "1");
  net.host.setSysctl("net/ipv6/conf/all/forwarding", "1");
}
