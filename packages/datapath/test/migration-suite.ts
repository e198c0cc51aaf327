/**
 * @module
 * A datapath of a version whose maps had other layouts, on whichever machine: its rows are carried over, or it stays in force whole.
 */
import { convertRows, describeLayout, type Machine, type RawMap } from "@skep/machine";
import { type MapSpec, readObject } from "@skep/object";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Connection, ConnectionKey, PolicyEntry, Service } from "../src/bpf/maps.bpf.ts";
import { encodeAddress, encodeU32 } from "../src/encode.ts";
import { skepObject } from "../src/generated/skep-object.ts";
import { type Datapath, LayoutError, openDatapath, TableSizeError } from "../src/index.ts";
import { makeLayouts, mapPin, recordedLayout, writeLayout } from "../src/layouts.ts";
import { withMaglevSize } from "../src/load-balancer.ts";
import { ip, SMALL } from "./addresses.ts";
import { backend, serviceRows } from "./socket-suite.ts";
import { everything, type PacketMachine } from "./packet-ground.ts";

const spec = withMaglevSize(readObject(skepObject()), SMALL.loadBalancer.maglevSize);
const ADDRESS = "struct16{w0@0 u32be,w1@4 u32be,w2@8 u32be,w3@12 u32be}";

/** Layouts of an older version: fields elsewhere, some that are gone, some that are yet to come. */
const OLDER: Readonly<Record<string, string>> = {
  skep_ct:
    `hash flags 0 key 40 struct40{second@0 ${ADDRESS},first@16 ${ADDRESS},secondPort@32 u16,firstPort@34 u16,protocol@36 u8,pad0@37 u8,pad1@38 u16} ` +
    "value 32 struct32{gone@0 u64,bytes@8 u64,flags@16 u32,expires@20 u32,egressIdentity@24 u32,ingressIdentity@28 u32}",
  skep_policy:
    "hash_of_maps flags 0 key 4 u32 value 4 u32 inner(lpm_trie flags 1 key 12 struct12{prefixLength@0 u32,direction@4 u8,identity0@5 u8," +
    "identity1@6 u8,identity2@7 u8,identity3@8 u8,protocol@9 u8,port@10 u16be} value 16 struct16{cookie@0 u32,precedence@4 u32,flags@8 u8,prefixLength@9 u8,gone@12 u32})",
  skep_packet: "percpu_array flags 0 key 4 u32 value 8 struct8{source@0 u64}",
};

const sizeOf = (text: string, side: "key" | "value"): number => Number(new RegExp(` ${side} (\\d+) `).exec(text)?.[1]);
const must = <T>(found: T | null | undefined): T => {
  if (found === null || found === undefined) throw new Error("it is not there");
  return found;
};

/** The map's spec with the sizes of a layout. */
function specOf(name: string, layout: string): MapSpec {
  const { keyTypeId: _key, valueTypeId: _value, ...rest } = must(spec.maps[name]);
  const maxEntries = (SMALL.maxEntries as Readonly<Record<string, number>>)[name] ?? rest.maxEntries;
  const sized = { ...rest, maxEntries, keySize: sizeOf(layout, "key"), valueSize: sizeOf(layout, "value") };
  const inner = /inner\((.*)\)$/.exec(layout)?.[1];
  if (!inner || !rest.inner) return sized;
  const { keyTypeId: _innerKey, valueTypeId: _innerValue, ...innerRest } = rest.inner;
  return { ...sized, inner: { ...innerRest, keySize: sizeOf(inner, "key"), valueSize: sizeOf(inner, "value") } };
}

/** Puts a map of the older layout in the pinned one's place, with its rows. */
function makeOlder({ machine, pins }: PacketMachine, name: string, layout = must(OLDER[name])): void {
  const pin = mapPin(pins, name);
  const map = must(machine.bpf.openMap(pin));
  const older = specOf(name, layout);
  const made = machine.bpf.createMap(older);
  if (name !== "skep_packet") {
    const rows = convertRows(describeLayout(must(spec.maps[name]), spec.btf), layout);
    for (const [key, value] of map.entries()) {
      const inner = rows.inner && must(map.getMap(key));
      if (!inner || !rows.inner) made.set(rows.key(key), rows.value(value));
      else {
        const olderInner = machine.bpf.createMap(must(older.inner));
        for (const [innerKey, innerValue] of inner.entries())
          olderInner.set(rows.inner.key(innerKey), rows.inner.value(innerValue));
        made.setMap(key, olderInner);
        inner.close();
        olderInner.close();
      }
    }
  }
  machine.bpf.unpin(pin);
  made.pin(pin);
  const layouts = makeLayouts(machine.bpf, pins);
  writeLayout(layouts, name, layout);
  for (const each of [map, made, layouts]) each.close();
}

/** The same machine, whose links do something before they change their program. */
function withUpdates(machine: Machine, beforeUpdate: (count: number) => void): Machine {
  let count = 0;
  const { bpf } = machine;
  const openLink: typeof bpf.openLink = (pin) => {
    const link = bpf.openLink(pin);
    if (!link) return null;
    const update = link.update.bind(link);
    return Object.assign(link, {
      update: (program: Parameters<typeof update>[0]) => {
        beforeUpdate(++count);
        update(program);
      },
    });
  };
  return {
    ...machine,
    ...{ name: machine.name, net: machine.net, processes: machine.processes, clock: machine.clock },
    bpf: over(bpf, { openLink }),
  };
}

function over<T extends object>(target: T, changed: Partial<T>): T {
  return new Proxy(target, {
    get: (_, name) => {
      const found: unknown = Reflect.get(name in changed ? changed : target, name, name in changed ? changed : target);
      return typeof found === "function" ? (found.bind(target) as unknown) : found;
    },
  });
}

export function migrationSuite(open: () => PacketMachine): void {
  let under: PacketMachine;
  let cgroup: string;

  beforeEach(() => {
    under = open();
    cgroup = under.machine.processes.createCgroup(`skep-migrate-${under.pins.slice(-6).replaceAll("/", "-")}`).path;
    const first = start();
    const map = pinned("skep_ct");
    for (const port of [1, 2]) map.set(...connection(port));
    map.close();
    first.setPolicy({
      endpoint: 7,
      revision: 1,
      ingressEnforced: true,
      egressEnforced: true,
      entries: [everything("ingress"), everything("egress")],
    });
    first.close();
  }, 300_000);
  afterEach(async () => {
    under.machine.bpf.removePins(under.pins);
    await under.close();
  });

  const start = (machine = under.machine): Datapath => openDatapath(machine, { pins: under.pins, cgroup, ...SMALL });
  const pinned = (name: string): RawMap => must(under.machine.bpf.openMap(mapPin(under.pins, name)));
  const connection = (port: number): [Uint8Array, Uint8Array] => [
    ConnectionKey.encode({
      ...ConnectionKey.zero(),
      first: encodeAddress(ip("10.0.0.1")),
      second: encodeAddress(ip("fd00::2")),
      firstPort: port,
      secondPort: 80,
      protocol: 6,
    }),
    Connection.encode({
      ...Connection.zero(),
      expires: 4_000_000_000,
      flags: 1,
      egressIdentity: 300 + port,
      bytes: 5n,
    }),
  ];
  const rowsOf = (name: string): [Uint8Array, Uint8Array][] => {
    const map = pinned(name);
    const rows = [...map.entries()].map(([key, value]): [Uint8Array, Uint8Array] => [key, value]);
    map.close();
    return rows.sort(([a], [b]) => (a.join() < b.join() ? -1 : 1));
  };
  const policies = (): unknown[] => {
    const outer = pinned("skep_policy");
    const inner = must(outer.getMap(encodeU32(7)));
    const rows = [...inner.entries()].map(([key, value]) => [[...key], PolicyEntry.decode(value)]);
    inner.close();
    outer.close();
    return rows.sort();
  };
  /** What is in force: each link's program, each pin's map, each layout. */
  const state = (): unknown => {
    const { bpf } = under.machine;
    const layouts = makeLayouts(bpf, under.pins);
    const links = bpf.pins(`${under.pins}/links`).map((name) => {
      const link = must(bpf.openLink(`${under.pins}/links/${name}`));
      const { programId } = link.info;
      link.close();
      return [name, programId];
    });
    const maps = bpf.pins(`${under.pins}/maps`).map((name) => {
      const map = pinned(name);
      const { id } = map.info;
      map.close();
      return [name, id, recordedLayout(layouts, name)];
    });
    layouts.close();
    return { links, maps };
  };
  const layoutsInForce = (): (string | null)[] => {
    const layouts = makeLayouts(under.machine.bpf, under.pins);
    const found = Object.keys(OLDER).map((name) => recordedLayout(layouts, name));
    layouts.close();
    return found;
  };

  describe("maps of another version", () => {
    test("give their rows to maps of this version's layout, inner maps too", () => {
      const [connections, before] = [rowsOf("skep_ct"), policies()];
      for (const name of Object.keys(OLDER)) makeOlder(under, name);
      expect(rowsOf("skep_ct")[0]?.[1]).toHaveLength(32);
      const datapath = start();
      expect(rowsOf("skep_ct")).toEqual(connections);
      expect(connections).toHaveLength(2);
      expect(policies()).toEqual(before);
      expect(before).toHaveLength(2);
      expect(datapath.adopted.restarted).toBe(true);
      expect(layoutsInForce()).toEqual(
        Object.keys(OLDER).map((name) => describeLayout(must(spec.maps[name]), spec.btf)),
      );
      datapath.close();
    });

    test("and what their programs write while others take their places", () => {
      makeOlder(under, "skep_ct");
      const rows = convertRows(describeLayout(must(spec.maps["skep_ct"]), spec.btf), must(OLDER["skep_ct"]));
      const [key, value] = connection(3);
      const datapath = start(
        withUpdates(under.machine, (count) => {
          if (count !== 3) return;
          const old = pinned("skep_ct");
          old.set(rows.key(key), rows.value(value));
          old.close();
        }),
      );
      expect(rowsOf("skep_ct")).toHaveLength(3);
      expect(
        rowsOf("skep_ct")
          .map(([each]) => ConnectionKey.decode(each).firstPort)
          .sort(),
      ).toEqual([1, 2, 3]);
      datapath.close();
    });

    test("whose services name no backends are served from their slots, until they are written anew", () => {
      const at = { address: "10.96.0.10", port: 80 };
      const backends = [backend(1, { address: "10.244.0.9", port: 8080 }, 6)];
      const rows = serviceRows({ id: 1, at, protocol: 6, backends });
      const first = start();
      first.replaceLoadBalancer(rows);
      first.close();
      const older =
        `hash flags 0 key 24 struct24{address@0 ${ADDRESS},port@16 u16be,protocol@18 u8,scope@19 u8,slot@20 u16,pad@22 u16} ` +
        "value 28 struct28{backend@0 u32,id@4 u32,flags@8 u32,count@12 u16,quarantined@14 u16,affinity@16 u32,algorithm@20 u8,pad0@21 u8,pad1@22 u16,gone@24 u32}";
      makeOlder(under, "skep_services", older);
      expect(rowsOf("skep_services").map(([, value]) => value.length)).toEqual([28, 28]);
      const datapath = start();
      const services = (): unknown[] => rowsOf("skep_services").map(([, value]) => Service.decode(value));
      const none = [0, 0, 0, 0, 0, 0, 0];
      expect(services()).toMatchObject([
        { id: 1, backend: 0, count: 1, first: none },
        { id: 1, backend: 1, count: 0, first: none },
      ]);
      datapath.replaceLoadBalancer(rows);
      expect(services()).toMatchObject([{ first: [1, 0, 0, 0, 0, 0, 0] }, { first: none }]);
      datapath.close();
    });

    test("that this version has no longer lose their pins", () => {
      const left = under.machine.bpf.createMap({ ...must(spec.maps["skep_lost"]), name: "skep_left" });
      left.pin(mapPin(under.pins, "skep_left"));
      left.close();
      start().close();
      expect(under.machine.bpf.pins(`${under.pins}/maps`)).not.toContain("skep_left");
    });

    test("are left as they are, and in force, where their rows have no meaning any more", () => {
      makeOlder(under, "skep_ct", must(OLDER["skep_ct"]).replace("expires@20 u32", "expires@20 u32be"));
      const layouts = makeLayouts(under.machine.bpf, under.pins);
      writeLayout(layouts, "skep_ct", must(OLDER["skep_ct"]).replace("flags@16 u32", "flags@16 u64"));
      layouts.close();
      const before = state();
      expect(() => start()).toThrow(LayoutError);
      expect(() => start()).toThrow(/skep_ct has another layout .*the value\.flags was u64 and is u32.*skep down/);
      expect(state()).toEqual(before);
    });

    test("are refused where nobody wrote down their layout", () => {
      const layouts = makeLayouts(under.machine.bpf, under.pins);
      writeLayout(layouts, "skep_services", "");
      layouts.close();
      expect(() => start()).toThrow(LayoutError);
    });
  });

  describe("maps of another size", () => {
    const sized = (entries: number): Datapath =>
      openDatapath(under.machine, {
        ...{ pins: under.pins, cgroup, ...SMALL, socketSplice: true },
        maxEntries: { ...SMALL.maxEntries, skep_ct: entries, skep_services: entries, skep_affinity: entries },
      });
    const sizes = (): number[] =>
      ["skep_ct", "skep_services", "skep_affinity"].map((name) => {
        const map = pinned(name);
        const { maxEntries } = map.info;
        map.close();
        return maxEntries;
      });

    test("keep their rows when they grow and when they shrink, and those that stay are the same maps", () => {
      const [connections, policiesBefore] = [rowsOf("skep_ct"), policies()];
      expect(connections).toHaveLength(2);
      const ids = (): unknown[] =>
        ["skep_policy", "skep_nat"].map((name) => {
          const map = pinned(name);
          const { id } = map.info;
          map.close();
          return id;
        });
      const others = ids();
      for (const entries of [5000, 2]) {
        const datapath = sized(entries);
        expect(sizes()).toEqual([entries, entries, entries]);
        expect(rowsOf("skep_ct")).toEqual(connections);
        expect(policies()).toEqual(policiesBefore);
        expect(datapath.tableUse().find(({ name }) => name === "skep_ct")?.capacity).toBe(entries);
        expect(datapath.adopted.restarted).toBe(true);
        datapath.close();
      }
      expect(ids()).toEqual(others);
    });

    test("stay as they are, and in force, where their rows would not fit", () => {
      const before = state();
      expect(() => sized(1)).toThrow(TableSizeError);
      expect(() => sized(1)).toThrow("the map skep_ct holds 2 rows, which do not fit into the 1 that it is to have");
      expect(state()).toEqual(before);
      expect(rowsOf("skep_ct")).toHaveLength(2);
    });

    test("each workload's policy has room for as much as was asked", () => {
      const datapath = openDatapath(under.machine, { pins: under.pins, cgroup, ...SMALL, policyEntries: 300 });
      const entry = everything("ingress");
      const entries = Array.from({ length: 301 }, (_, index) => ({ ...entry, identity: 1000 + index }));
      const policy = { endpoint: 8, revision: 1, ingressEnforced: true, egressEnforced: true };
      datapath.setPolicy({ ...policy, entries: entries.slice(1) });
      expect(() => datapath.setPolicy({ ...policy, entries })).toThrow();
      expect(datapath.policyOf(8)).toHaveLength(300);
      datapath.close();
    });
  });

  describe("a start that fails", () => {
    test.each([2, 7])("at program %d gives the old programs their places back, and their maps the pins", (failing) => {
      makeOlder(under, "skep_ct");
      const before = state();
      const machine = withUpdates(under.machine, (count) => {
        if (count === failing) throw new Error("no program today");
      });
      expect(() => start(machine)).toThrow("no program today");
      expect(state()).toEqual(before);
      const connections = rowsOf("skep_ct").length;
      start().close();
      expect(rowsOf("skep_ct")).toHaveLength(connections);
      expect(state()).not.toEqual(before);
    });

    test("while it pins its maps does the same", () => {
      for (const name of ["skep_ct", "skep_policy"]) makeOlder(under, name);
      const before = state();
      let unpinned = 0;
      const unpin: typeof under.machine.bpf.unpin = (pin) => {
        if (++unpinned === 2) throw new Error("no pin today");
        under.machine.bpf.unpin(pin);
      };
      const machine = withUpdates(under.machine, () => undefined);
      expect(() => start({ ...machine, bpf: over(machine.bpf, { unpin }) })).toThrow("no pin today");
      expect(unpinned).toBeGreaterThan(2);
      expect(state()).toEqual(before);
    });
  });
}
