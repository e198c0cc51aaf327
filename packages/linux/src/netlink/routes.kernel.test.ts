import { execFileSync } from "node:child_process";
import { exit, mov64, r0 } from "@skep/isa";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { LinuxBpf, type LinuxProgram } from "../bpf/index.ts";
import { canUseBpf, objectSpec } from "../bpf/testing.ts";
import type { LinuxNamespace } from "../net/index.ts";
import {
  addAddress,
  addRoute,
  addRule,
  changeLink,
  deleteAddress,
  deleteNeighbour,
  deleteRoute,
  deleteRule,
  listAddresses,
  listNeighbours,
  listRoutes,
  listRules,
  lookupRoute,
  neighbourStates,
  setNeighbour,
  tables,
} from "./index.ts";
import { canCompare, codeOf, ip, iproute, mac, makeVeth, openStage, prefix, runIn, type Stage } from "./testing.ts";

describe.skipIf(!canCompare())("addresses, routes, rules and neighbours beside iproute2", () => {
  let stage: Stage;
  let space: LinuxNamespace;
  /** `a`, up, with 10.0.0.1/24 and fd00::1/64; its peer `b` is up too. */
  let index: number;
  beforeAll(async () => {
    stage = await openStage();
  });
  beforeEach(() => {
    space = stage.make("routes");
    index = makeVeth(space);
    space.netlink((socket) => {
      addAddress(socket, { index, prefix: prefix("10.0.0.1/24") });
      addAddress(socket, { index, prefix: prefix("fd00::1/64") });
    });
  });
  afterEach(() => stage.clear());
  afterAll(() => stage.close());

  const format = (bytes: Uint8Array): string =>
    bytes.length === 4 ? [...bytes].join(".") : Buffer.from(bytes).toString("hex");
  const canonical = (text: string): string => format(ip(text).bytes);

  test("addresses with labels, broadcast and peers; IPv6 at once", () => {
    space.netlink((socket) => {
      addAddress(socket, { index, prefix: prefix("10.1.0.1/16"), label: "a:1", broadcast: ip("10.1.255.255") });
      addAddress(socket, { index, prefix: prefix("10.2.0.1/32"), peer: ip("10.2.0.2") });
      addAddress(socket, { index, prefix: prefix("169.254.1.1/32"), scope: 253 });
    });
    const shown = iproute(space, "ip addr show dev a")[0]!["addr_info"] as Record<string, unknown>[];
    expect(shown).toContainEqual(
      expect.objectContaining({ local: "10.1.0.1", prefixlen: 16, label: "a:1", broadcast: "10.1.255.255" }),
    );
    expect(shown).toContainEqual(expect.objectContaining({ local: "10.2.0.1", address: "10.2.0.2", prefixlen: 32 }));
    expect(shown).toContainEqual(expect.objectContaining({ local: "169.254.1.1", scope: "link" }));
    expect(shown.find((each) => each["local"] === "fd00::1")).toMatchObject({ prefixlen: 64, nodad: true });
    expect(shown.find((each) => each["local"] === "fd00::1")!["tentative"]).toBeUndefined();

    const expected = shown.map((each) => [canonical(String(each["local"])), each["prefixlen"], each["label"]]);
    const found = space.netlink(listAddresses).filter((each) => each.index === index);
    expect(found.map((each) => [format(each.prefix.address.bytes), each.prefix.length, each.label])).toEqual(expected);
    expect(found.find((each) => each.peer)!.peer).toEqual(ip("10.2.0.2"));
    space.netlink((socket) => {
      expect(deleteAddress(socket, { index, prefix: prefix("10.1.0.1/16") })).toBe(true);
      expect(deleteAddress(socket, { index, prefix: prefix("10.1.0.1/16") })).toBe(false);
      expect(deleteAddress(socket, { index, prefix: prefix("fd00::1/64") })).toBe(true);
    });
  });

  test("routes of every kind that the datapath needs", () => {
    space.netlink((socket) => {
      addRoute(socket, { destination: prefix("10.10.0.0/16"), gateway: ip("10.0.0.2"), metric: 5, mtu: 1300 });
      addRoute(socket, { destination: prefix("10.11.0.1/32"), interface: index, source: ip("10.0.0.1") });
      addRoute(socket, { destination: prefix("0.0.0.0/0"), gateway: ip("192.0.2.1"), interface: index, onLink: true });
      addRoute(socket, { destination: prefix("10.12.0.0/16"), type: "blackhole" });
      addRoute(socket, { destination: prefix("10.13.0.0/16"), type: "unreachable", table: 1000 });
      addRoute(socket, { destination: prefix("10.14.0.0/16"), type: "local", interface: 1, table: 100 });
      addRoute(socket, { destination: prefix("10.15.0.0/16"), gateway: ip("fd00::2"), interface: index });
      addRoute(socket, { destination: prefix("fd01::/64"), gateway: ip("fd00::2"), metric: 7 });
      addRoute(socket, {
        destination: prefix("10.16.0.0/16"),
        nexthops: [
          { interface: index, gateway: ip("10.0.0.3"), weight: 1 },
          { interface: index, gateway: ip("10.0.0.4"), weight: 3 },
        ],
      });
    });
    const shown = [...iproute(space, "ip -4 route show table all"), ...iproute(space, "ip -6 route show table all")];
    expect(shown).toContainEqual(
      expect.objectContaining({ dst: "10.10.0.0/16", gateway: "10.0.0.2", metric: 5, metrics: [{ mtu: 1300 }] }),
    );
    expect(shown).toContainEqual(
      expect.objectContaining({ dst: "10.11.0.1", dev: "a", prefsrc: "10.0.0.1", scope: "link", protocol: "static" }),
    );
    expect(shown).toContainEqual(expect.objectContaining({ dst: "default", gateway: "192.0.2.1", flags: ["onlink"] }));
    expect(shown).toContainEqual(expect.objectContaining({ dst: "10.12.0.0/16", type: "blackhole" }));
    expect(shown).toContainEqual(expect.objectContaining({ dst: "10.13.0.0/16", type: "unreachable", table: "1000" }));
    expect(shown).toContainEqual(
      expect.objectContaining({ dst: "10.14.0.0/16", type: "local", table: "100", scope: "host" }),
    );
    expect(shown).toContainEqual(
      expect.objectContaining({ dst: "10.15.0.0/16", via: { family: "inet6", host: "fd00::2" } }),
    );
    expect(shown).toContainEqual(expect.objectContaining({ dst: "fd01::/64", gateway: "fd00::2", metric: 7 }));
    const multi = shown.find((route) => route["dst"] === "10.16.0.0/16")!;
    expect(multi["nexthops"]).toMatchObject([
      { gateway: "10.0.0.3", weight: 1 },
      { gateway: "10.0.0.4", weight: 3 },
    ]);
    const routes = space.netlink((socket) => listRoutes(socket));
    expect(routes).toHaveLength(shown.length);
    expect(routes.find((route) => route.destination.address.bytes[1] === 16 && route.nexthops)!.nexthops).toEqual([
      { interface: index, gateway: ip("10.0.0.3"), weight: 1 },
      { interface: index, gateway: ip("10.0.0.4"), weight: 3 },
    ]);
    expect(routes.find((route) => route.table === 1000)).toMatchObject({
      type: "unreachable",
      destination: prefix("10.13.0.0/16"),
    });
    expect(
      routes.find((route) => route.gateway?.family === 6 && route.destination.address.family === 4)!.gateway,
    ).toEqual(ip("fd00::2"));
    expect(space.netlink((socket) => listRoutes(socket, { table: 100 }))).toHaveLength(1);
  });

  test("a route is exclusive, replaced when asked, and deleted by what is named", () => {
    const route = { destination: prefix("10.10.0.0/16"), gateway: ip("10.0.0.2") };
    space.netlink((socket) => {
      addRoute(socket, route);
      expect(codeOf(() => addRoute(socket, route))).toBe("EEXIST");
      addRoute(socket, { ...route, gateway: ip("10.0.0.9") }, { replace: true });
      expect(deleteRoute(socket, route)).toBe(false);
      expect(deleteRoute(socket, { destination: route.destination })).toBe(true);
      expect(deleteRoute(socket, { destination: route.destination })).toBe(false);
      addRoute(socket, { destination: prefix("10.12.0.0/16"), type: "blackhole" });
      expect(deleteRoute(socket, { destination: prefix("10.12.0.0/16"), type: "unreachable" })).toBe(false);
      expect(deleteRoute(socket, { destination: prefix("10.12.0.0/16"), type: "blackhole" })).toBe(true);
      expect(codeOf(() => addRoute(socket, { destination: prefix("10.17.0.0/16"), gateway: ip("172.16.0.1") }))).toBe(
        "ENETUNREACH",
      );
    });
  });

  test("a lookup follows rules and tables", () => {
    space.netlink((socket) => {
      addRoute(socket, { destination: prefix("0.0.0.0/0"), gateway: ip("10.0.0.2") });
      addRoute(socket, { destination: prefix("0.0.0.0/0"), gateway: ip("10.0.0.3"), table: 77 });
      addRule(socket, { family: 4, mark: 5, markMask: 0xff, table: 77, priority: 100 });
      expect(lookupRoute(socket, ip("192.0.2.1"))).toMatchObject({
        gateway: ip("10.0.0.2"),
        source: ip("10.0.0.1"),
        interface: index,
      });
      expect(lookupRoute(socket, ip("192.0.2.1"), { mark: 5 }).gateway).toEqual(ip("10.0.0.3"));
      expect(lookupRoute(socket, ip("fd00::9")).interface).toBe(index);
      expect(codeOf(() => lookupRoute(socket, ip("fd99::9")))).toBe("ENETUNREACH");
    });
  });

  test("rules", () => {
    space.netlink((socket) => {
      addRule(socket, {
        family: 4,
        priority: 10,
        source: prefix("10.0.0.0/8"),
        destination: prefix("10.9.0.0/16"),
        table: 200,
      });
      addRule(socket, { family: 4, priority: 11, inputInterface: "a", mark: 0x200, markMask: 0xf00, table: 2004 });
      addRule(socket, { family: 4, priority: 12, outputInterface: "nosuch", action: "unreachable", invert: true });
      addRule(socket, {
        family: 4,
        priority: 13,
        ipProtocol: 6,
        destinationPorts: { start: 80, end: 90 },
        action: "prohibit",
      });
      addRule(socket, { family: 4, priority: 14, action: "goto", goto: 32_766 });
      addRule(socket, { family: 6, priority: 15, source: prefix("fd00::/64"), table: 200 });
      expect(codeOf(() => addRule(socket, { family: 6, priority: 15, source: prefix("fd00::/64"), table: 200 }))).toBe(
        "EEXIST",
      );
      expect(() => addRule(socket, { family: 6, source: prefix("10.0.0.0/8"), table: 1 })).toThrow(RangeError);
    });
    const shown = [...iproute(space, "ip -4 rule show"), ...iproute(space, "ip -6 rule show")];
    expect(shown).toContainEqual(
      expect.objectContaining({ priority: 10, src: "10.0.0.0", srclen: 8, dst: "10.9.0.0", dstlen: 16, table: "200" }),
    );
    expect(shown).toContainEqual(
      expect.objectContaining({ priority: 11, iif: "a", fwmark: "0x200", fwmask: "0xf00", table: "2004" }),
    );
    expect(shown).toContainEqual(
      expect.objectContaining({ priority: 12, not: null, oif: "nosuch", oif_detached: null, action: "unreachable" }),
    );
    expect(shown).toContainEqual(
      expect.objectContaining({ priority: 13, ipproto: "tcp", dport_start: 80, dport_end: 90, action: "prohibit" }),
    );
    expect(shown).toContainEqual(expect.objectContaining({ priority: 14, goto: 32_766 }));
    const found = space.netlink(listRules);
    expect(found).toHaveLength(shown.length);
    expect(found.find((rule) => rule.priority === 11)).toMatchObject({
      family: 4,
      inputInterface: "a",
      mark: 0x200,
      markMask: 0xf00,
      table: 2004,
    });
    expect(found.find((rule) => rule.priority === 12)).toMatchObject({
      outputInterface: "nosuch",
      action: "unreachable",
      invert: true,
    });
    expect(found.find((rule) => rule.priority === 13)).toMatchObject({
      destinationPorts: { start: 80, end: 90 },
      ipProtocol: 6,
    });
    expect(found.find((rule) => rule.priority === 15)).toMatchObject({
      family: 6,
      source: prefix("fd00::/64"),
      table: 200,
    });
    space.netlink((socket) => {
      expect(deleteRule(socket, { family: 4, priority: 11, table: 2005 })).toBe(false);
      expect(deleteRule(socket, { family: 4, priority: 11, inputInterface: "a", table: 2004 })).toBe(true);
      expect(deleteRule(socket, { family: 4, priority: 11, inputInterface: "a", table: 2004 })).toBe(false);
    });
  });

  test("neighbours, permanent and reachable", () => {
    space.netlink((socket) => {
      setNeighbour(socket, { index, address: ip("10.0.0.2"), mac: mac(2) });
      setNeighbour(socket, { index, address: ip("10.0.0.3"), mac: mac(3), state: neighbourStates.reachable });
      setNeighbour(socket, { index, address: ip("fd00::2"), mac: mac(4) });
      setNeighbour(socket, { index, address: ip("10.0.0.2"), mac: mac(5) });
    });
    const shown = [
      ...iproute(space, "ip -4 neigh show dev a"),
      ...iproute(space, "ip -6 neigh show dev a nud permanent"),
    ];
    expect(shown).toContainEqual(
      expect.objectContaining({ dst: "10.0.0.2", lladdr: "02:00:00:00:00:05", state: ["PERMANENT"] }),
    );
    expect(shown).toContainEqual(
      expect.objectContaining({ dst: "10.0.0.3", lladdr: "02:00:00:00:00:03", state: ["REACHABLE"] }),
    );
    expect(shown).toContainEqual(expect.objectContaining({ dst: "fd00::2", state: ["PERMANENT"] }));
    space.netlink((socket) => {
      const found = listNeighbours(socket, { index }).filter(({ state }) => state === neighbourStates.permanent);
      expect(found.map(({ address, mac }) => [address, [...mac!]])).toEqual([
        [ip("10.0.0.2"), [...mac(5)]],
        [ip("fd00::2"), [...mac(4)]],
      ]);
      expect(deleteNeighbour(socket, index, ip("10.0.0.2"))).toBe(true);
      expect(deleteNeighbour(socket, index, ip("10.0.0.99"))).toBe(false);
    });
  });

  test("a table of many routes is dumped whole", () => {
    space.netlink((socket) => {
      for (let at = 0; at < 3000; at++)
        addRoute(socket, { destination: prefix(`11.${at >> 8}.${at & 255}.0/24`), interface: index, table: 500 });
    });
    const routes = space.netlink((socket) => listRoutes(socket, { table: 500 }));
    expect(new Set(routes.map(({ destination }) => format(destination.address.bytes))).size).toBe(3000);
    expect(space.netlink((socket) => listRoutes(socket, { table: tables.main })).length).toBeLessThan(20);
    runIn(space, "ip route flush table 500");
    expect(space.netlink((socket) => listRoutes(socket, { table: 500 }))).toEqual([]);
  });

  test.skipIf(!canUseBpf())("BPF programs on a route", () => {
    const verdict = (name: string, type: string) => ({ name, type, code: [mov64(r0, 0), exit()] });
    const collection = new LinuxBpf().load(objectSpec([verdict("on_in", "lwt_in"), verdict("on_xmit", "lwt_xmit")]));
    try {
      const fd = (name: string) => (collection.programs[name] as LinuxProgram).fd;
      const encap = {
        in: { fd: fd("on_in"), name: "on_in" },
        xmit: { fd: fd("on_xmit"), name: "on_xmit" },
        headroom: 14,
      };
      space.netlink((socket) => addRoute(socket, { destination: prefix("10.20.0.0/16"), interface: index, encap }));
    } finally {
      collection.close();
    }
    expect(iproute(space, "ip route show 10.20.0.0/16")).toMatchObject([{ encap: "bpf", dev: "a" }]);
    const text = space.run(() => execFileSync("ip", ["route", "show", "10.20.0.0/16"], { encoding: "utf8" }));
    expect(text).toContain("encap bpf in on_in xmit on_xmit");
    const [route] = space.netlink((socket) => listRoutes(socket)).filter(({ encap }) => encap);
    expect(route!.encap).toMatchObject({ in: { name: "on_in" }, xmit: { name: "on_xmit" } });
  });

  test("down again, the routes go", () => {
    space.netlink((socket) => {
      addRoute(socket, { destination: prefix("10.10.0.0/16"), gateway: ip("10.0.0.2") });
      changeLink(socket, index, { up: false });
      expect(
        listRoutes(socket, { table: tables.main }).filter(({ destination }) => destination.address.family === 4),
      ).toEqual([]);
    });
  });
});
