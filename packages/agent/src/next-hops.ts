/**
 * @module
 * Where packets go next that come in for a service and go out again: the host's routes and neighbours, as the front's programs look them up.
 */
import type { NextHopRow } from "@skep/datapath";
import type { Machine, Neighbour, Route, WayWatch } from "@skep/machine";
import {
  type Address,
  familyBits,
  formatAddress,
  formatPrefix,
  hostPrefix,
  type Mac,
  maskAddress,
  type Prefix,
} from "@skep/net";

/** As many as the programs' map holds. */
const MOST = 16_384;

/** There are more routes and neighbours than the programs can hold. */
export class NextHopsError extends RangeError {
  override readonly name = "NextHopsError";
}

export interface HostWays {
  /** Of routes to the same prefix the first is in force. */
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  /** MAC addresses of Ethernet interfaces by number: with them packets can leave before the kernel sees them. */
  readonly macs: ReadonlyMap<number, Mac>;
  /** Their longest packets, by number. */
  readonly mtus?: ReadonlyMap<number, number>;
  /** Interfaces that lead nowhere else, such as the wires of the host's workloads. */
  readonly without: ReadonlySet<number>;
}

const neighbourKey = (index: number, address: Address): string => `${index} ${formatAddress(address)}`;

function isLinkLocal({ address: { bytes, family } }: Prefix): boolean {
  return family === 6 && bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80;
}

/** Of routes by prefix. `lengths`: those of their prefixes, the longest first. */
function longest(routes: ReadonlyMap<string, Route>, lengths: readonly number[], address: Address): Route | null {
  for (const length of lengths) {
    if (length > familyBits(address.family)) continue;
    const found = routes.get(formatPrefix({ address: maskAddress(address, length), length }));
    if (found) return found;
  }
  return null;
}

/** One row for each route, with the router's MAC address where it is known, and one for each known neighbour that a route without a router leads to. */
export function nextHopRows({ routes, neighbours, macs, mtus, without }: HostWays): NextHopRow[] {
  const rows = new Map<string, NextHopRow>();
  const known = new Map(neighbours.map(({ index, address, mac }) => [neighbourKey(index, address), mac]));
  const inForce = new Map<string, Route>();
  for (const route of routes) {
    if (without.has(route.interface)) continue;
    const key = formatPrefix(route.destination);
    if (route.interface > 0 && !isLinkLocal(route.destination) && !inForce.has(key)) inForce.set(key, route);
  }
  const add = (prefix: Prefix, index: number, destination: Mac | undefined): void => {
    const source = macs.get(index);
    const mtu = mtus?.get(index);
    const row = { prefix, interfaceIndex: index, ...(mtu ? { mtu } : {}) };
    rows.set(formatPrefix(prefix), source && destination ? { ...row, macs: { source, destination } } : row);
  };
  for (const { destination, gateway, interface: index } of inForce.values())
    add(destination, index, gateway && known.get(neighbourKey(index, gateway)));
  const lengths = [...new Set([...inForce.values()].map(({ destination }) => destination.length))].sort(
    (x, y) => y - x,
  );
  for (const { index, address, mac } of neighbours) {
    if (without.has(index)) continue;
    const way = longest(inForce, lengths, address);
    if (way && way.interface === index && !way.gateway) add(hostPrefix(address), index, mac);
  }
  return [...rows.values()];
}

/** Keeps the programs' ways as the host has them. */
export class NextHops {
  readonly #machine: Machine;
  readonly #sync: (rows: readonly NextHopRow[]) => unknown;
  /** Number of the overlay's device: what goes into it is the kernel's to send. */
  readonly #overlay: number | null;
  #before: string | null = null;
  readonly #ways: WayWatch;
  /** What the host has is not known to be in force. */
  #isDue = true;

  constructor(
    machine: Machine,
    options: { readonly overlay: number | null; readonly sync: (rows: readonly NextHopRow[]) => unknown },
  ) {
    this.#machine = machine;
    this.#sync = options.sync;
    this.#overlay = options.overlay;
    this.#ways = machine.net.host.watchWays();
  }

  /** Looks at the host where it has changed, and writes what is new. `wires`: those of the host's workloads. Throws NextHopsError. */
  refresh(wires: () => ReadonlySet<number>): void {
    if (!this.#ways.changed() && !this.#isDue) return;
    this.#isDue = true;
    this.#look(wires());
    this.#isDue = false;
  }

  close(): void {
    this.#ways.close();
  }

  #look(without: ReadonlySet<number>): void {
    const { host } = this.#machine.net;
    const ethernet = host.interfaces().filter(({ index, mac }) => index !== this.#overlay && mac.length === 6);
    const rows = nextHopRows({
      routes: host.routes(),
      neighbours: host.neighbours(),
      macs: new Map(ethernet.map(({ index, mac }) => [index, mac])),
      mtus: new Map(ethernet.map(({ index, mtu }) => [index, mtu])),
      without,
    });
    const text = rows.map(textOf).sort().join("\n");
    if (text === this.#before) return;
    if (rows.length > MOST)
      throw new NextHopsError(`the host has ${rows.length} routes and neighbours: services from outside use ${MOST}`);
    this.#before = null;
    this.#sync(rows);
    this.#before = text;
  }
}

const textOf = ({ prefix, interfaceIndex, macs, mtu = 0 }: NextHopRow): string =>
  `${formatPrefix(prefix)} ${interfaceIndex} ${mtu} ${macs ? `${macs.source.join(":")} ${macs.destination.join(":")}` : ""}`;
