import { describe, expect, test } from "vitest";
import type { Route } from "@skep/machine";
import { formatPrefix, hostPrefix, parsePrefix, type Prefix } from "@skep/net";
import { openSim } from "@skep/sim";
import { NextHops, nextHopRows } from "../src/next-hops.ts";
import { ip } from "./packet-lab.ts";

const to = (text: string): Prefix => {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(text);
  return prefix;
};
const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);
const macs = new Map([
  [1, mac(1)],
  [2, mac(2)],
]);
const rowsOf = (
  routes: readonly Route[],
  neighbours: readonly { index: number; address: string; mac: Uint8Array }[] = [],
  without: ReadonlySet<number> = new Set(),
): Record<string, string> =>
  Object.fromEntries(
    nextHopRows({
      ...{ routes, macs, without },
      neighbours: neighbours.map((each) => ({ ...each, address: ip(each.address) })),
    }).map(({ prefix, interfaceIndex, macs: pair }) => [
      formatPrefix(prefix),
      `${interfaceIndex}${pair ? ` ${pair.source[5]} ${pair.destination[5]}` : ""}`,
    ]),
  );

const lan: Route = { destination: to("192.0.2.0/24"), interface: 1, scope: "link" };
const router: Route = { destination: to("0.0.0.0/0"), gateway: ip("192.0.2.1"), interface: 1 };

describe("the ways of packets for services", () => {
  test("a route has its router's MAC address where it is known", () => {
    expect(rowsOf([router, lan])).toEqual({ "0.0.0.0/0": "1", "192.0.2.0/24": "1" });
    const known = { index: 1, address: "192.0.2.1", mac: mac(9) };
    expect(rowsOf([router, lan], [known])).toEqual({
      ...{ "0.0.0.0/0": "1 1 9", "192.0.2.0/24": "1", "192.0.2.1/32": "1 1 9" },
    });
  });

  test("a neighbour has a row where the longest route leads to it without a router", () => {
    const behind: Route = { destination: to("192.0.2.7/32"), gateway: ip("192.0.2.1"), interface: 1 };
    const neighbours = [
      { index: 1, address: "192.0.2.7", mac: mac(7) },
      { index: 2, address: "192.0.2.8", mac: mac(8) },
    ];
    expect(rowsOf([lan, behind], neighbours)).toEqual({ "192.0.2.0/24": "1", "192.0.2.7/32": "1" });
  });

  test("of routes to one prefix the first is in force, and link-local ones lead nowhere", () => {
    const link: Route = { destination: to("fe80::/64"), interface: 1, scope: "link" };
    expect(rowsOf([router, { ...router, interface: 2 }, link])).toEqual({ "0.0.0.0/0": "1" });
  });

  test("an interface without a MAC address gives none, and one that is left out no row", () => {
    const far: Route = { destination: to("10.2.0.0/24"), gateway: ip("10.2.0.1"), interface: 3 };
    expect(rowsOf([far], [{ index: 3, address: "10.2.0.1", mac: mac(3) }])).toEqual({ "10.2.0.0/24": "3" });
    expect(rowsOf([lan, far], [], new Set([3]))).toEqual({ "192.0.2.0/24": "1" });
  });

  test("what the host learns is written, and nothing twice", () => {
    const machine = openSim({ runFolder: "/run/h" });
    const { host } = machine.net;
    const { host: out } = host.createVeth("out0", { namespace: machine.net.createNamespace("far"), name: "far" });
    host.setUp(out.index, true);
    host.addAddress(out.index, hostPrefix(ip("192.0.2.2")));
    host.addRoute({ ...lan, interface: out.index });
    const written: string[][] = [];
    const hops = new NextHops(machine, {
      overlay: null,
      sync: (rows) => written.push(rows.map(({ prefix, macs }) => `${formatPrefix(prefix)} ${macs?.destination[5]}`)),
    });
    const refresh = (): void => hops.refresh(() => new Set());
    refresh();
    refresh();
    host.addNeighbour(out.index, ip("192.0.2.9"), mac(9));
    refresh();
    host.deleteRoute({ ...lan, interface: out.index });
    refresh();
    const first = ["192.0.2.0/24 undefined"];
    expect(written).toEqual([first, [...first, "192.0.2.9/32 9"], []]);
  });
});
