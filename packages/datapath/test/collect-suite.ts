/**
 * @module
 * The tables of flows, on whichever machine: how long an entry lives, what a look through them takes out, and what happens when one is full.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Collection } from "../src/bpf/gc.bpf.ts";
import { Device } from "../src/bpf/device.bpf.ts";
import { Connection, ConnectionKey } from "../src/bpf/maps.bpf.ts";
import { NatEntry, NatKey } from "../src/bpf/nat-map.bpf.ts";
import { encodeAddress, encodeU32 } from "../src/encode.ts";
import { flushTable, type TableUse } from "../src/index.ts";
import { ip } from "./addresses.ts";
import { ADDRESSES, reset } from "./drop-fixtures.ts";
import { client, server, up } from "./fixtures.ts";
import {
  ELSEWHERE,
  FLAG,
  frame,
  HERE,
  network,
  PacketGround,
  segment,
  type PacketMachine,
  type Passed,
  type Transport,
} from "./packet-ground.ts";

const ROOM = 64;
const [REPLY_SEEN, RST] = [1, 8];

export function collectSuite(open: () => PacketMachine): void {
  let ground: PacketGround;
  let under: PacketMachine;

  beforeAll(() => {
    under = open();
    const { path } = under.machine.processes.createCgroup(`skep-collect-${under.pins.slice(-6).replaceAll("/", "-")}`);
    ground = new PacketGround(under, { cgroup: path, maxEntries: { skep_ct: ROOM, skep_nat: ROOM } });
  }, 300_000);
  afterAll(() => ground?.close());
  beforeEach(() => {
    reset({ ground });
    for (const place of [0, 1]) ground.map("skep_gc").set(encodeU32(place), Collection.encode(Collection.zero()));
  });

  const now = (): number => Number(under.machine.clock.monotonic() / 1_000_000_000n);
  const connections = (): Connection[] =>
    [...ground.map("skep_ct").entries()].map(([, value]) => Connection.decode(value));
  const put = (port: number, over: Partial<Connection>): void =>
    ground
      .map("skep_ct")
      .set(
        ConnectionKey.encode({ ...ConnectionKey.zero(), firstPort: port, protocol: 6 }),
        Connection.encode({ ...Connection.zero(), expires: now() + 8000, flags: REPLY_SEEN, ...over }),
      );
  const use = (name: string, of: readonly TableUse[] = ground.datapath.tableUse()): TableUse => {
    const found = of.find((each) => each.name === name);
    if (!found) throw new Error(`no table ${name}`);
    return found;
  };
  const { pod, local, world, node } = ADDRESSES[4];
  const open1 = (port: number): Passed =>
    ground.send("skep_from_ep", frame(up, network(pod, local), segment("tcp", [port, 80])));
  const dropOf = ({ events }: Passed): number => events.find(({ type }) => type === 1)?.reason ?? 0;
  /** Seconds that the only connection has left. */
  const left = (): number => {
    const [only, ...others] = connections();
    expect(others).toEqual([]);
    return (only?.expires ?? 0) - now();
  };

  for (const family of [4, 6] as const) {
    const ends = ADDRESSES[family];
    const pass = (kind: Transport, flags: number, isReply = false): void => {
      const [from, to] = isReply ? [server, client] : [client, server];
      ground.setEndpoint({ ...to, interfaceIndex: ELSEWHERE });
      ground.setEndpoint({ ...from, interfaceIndex: HERE });
      const [source, destination] = isReply ? [ends.local, ends.pod] : [ends.pod, ends.local];
      const ports = isReply ? ([80, 40_000] as const) : ([40_000, 80] as const);
      expect(
        dropOf(ground.send("skep_from_ep", frame(up, network(source, destination), segment(kind, ports, flags)))),
      ).toBe(0);
    };
    const near = (seconds: number): void => {
      expect(left()).toBeGreaterThanOrEqual(seconds - 1);
      expect(left()).toBeLessThanOrEqual(seconds + 1);
    };

    describe(`IPv${family}`, () => {
      test("TCP: a minute until it is answered, 8000 seconds while it is open, ten when both ends have closed", () => {
        pass("tcp", FLAG.SYN);
        near(60);
        pass("tcp", FLAG.SYN | FLAG.ACK, true);
        near(8000);
        pass("tcp", FLAG.ACK);
        near(8000);
        pass("tcp", FLAG.FIN | FLAG.ACK);
        near(8000);
        pass("tcp", FLAG.FIN | FLAG.ACK, true);
        near(10);
        expect(connections()).toMatchObject([{ tcpFlags: 0x13, replyTcpFlags: 0x13 }]);
        // Opened anew.
        pass("tcp", FLAG.SYN);
        near(60);
        expect(connections()).toMatchObject([{ tcpFlags: 0x02, replyTcpFlags: 0 }]);
      });
      test("TCP: ten seconds after a reset", () => {
        pass("tcp", FLAG.SYN);
        pass("tcp", FLAG.RST | FLAG.ACK, true);
        near(10);
        expect(connections()).toMatchObject([{ replyTcpFlags: 0x14 }]);
      });
      test("UDP and SCTP: a minute after the last packet", () => {
        for (const kind of ["udp", "sctp"] as const) {
          ground.clear("skep_ct");
          pass(kind, 0);
          near(60);
          pass(kind, 0, true);
          near(60);
        }
      });
    });
  }

  test("a look takes out what is over, and nothing else", () => {
    for (let port = 1; port <= 20; port++) put(port, { expires: now() + (port <= 8 ? -1 : 500) });
    expect(use("skep_ct", ground.datapath.collect())).toMatchObject({ capacity: ROOM, alive: 12, removed: 8 });
    expect(connections()).toHaveLength(12);
    expect(use("skep_ct", ground.datapath.collect())).toMatchObject({ alive: 12, removed: 0 });
    expect(flushTable(under.machine, under.pins, "skep_ct")).toBe(12);
    expect(connections()).toEqual([]);
  });

  test("full: what is over makes room for what is new", () => {
    for (let port = 1; port <= ROOM; port++) put(port, port <= 10 ? { expires: now() - 1 } : {});
    expect(dropOf(open1(40_000))).toBe(0);
    expect(connections()).toHaveLength(ROOM - 10 + 1);
    expect(use("skep_ct")).toMatchObject({ emergencies: 1, emergencyRemoved: 10, refused: 1 });
  });

  test("full, nothing over: what was never answered goes, and what has ended", () => {
    for (let port = 1; port <= ROOM; port++) {
      if (port <= 5) put(port, { flags: 0, expires: now() + 30 });
      else if (port <= 8) put(port, { flags: REPLY_SEEN | RST, expires: now() + 9 });
      // Just opened: it may still be answered.
      else if (port <= 12) put(port, { flags: 0, expires: now() + 58 });
      else put(port, {});
    }
    expect(dropOf(open1(40_000))).toBe(0);
    expect(connections()).toHaveLength(ROOM - 8 + 1);
    expect(use("skep_ct")).toMatchObject({ emergencies: 1, emergencyRemoved: 8 });
  });

  test("full of what is open: nothing of it goes, what is new is refused (155), and the table is not looked through each time", () => {
    for (let port = 1; port <= ROOM; port++) put(port, {});
    for (let port = 40_000; port < 40_020; port++) expect(dropOf(open1(port))).toBe(155);
    expect(connections().filter(({ flags }) => flags === REPLY_SEEN)).toHaveLength(ROOM);
    expect(use("skep_ct").refused).toBe(20);
    expect(use("skep_ct").emergencies).toBeLessThan(4);
  });

  describe("mappings of source NAT", () => {
    const leave = (port: number): number =>
      dropOf(ground.send("skep_to_net", frame(up, network(pod, world), segment("tcp", [port, 80]))));
    const mappings = (): [NatKey, NatEntry][] =>
      [...ground.map("skep_nat").entries()].map(([key, value]) => [NatKey.decode(key), NatEntry.decode(value)]);
    const change = (over: (key: NatKey) => Partial<NatEntry>): void => {
      for (const [key, entry] of mappings())
        ground.map("skep_nat").set(NatKey.encode(key), NatEntry.encode({ ...entry, ...over(key) }));
    };
    beforeEach(() => {
      const device = { address: encodeAddress(ip(node)), address6: encodeAddress(ip(ADDRESSES[6].node)) };
      ground.map("skep_devices").set(encodeU32(HERE), Device.encode(device));
    });

    test("go in pairs when their flow is over", () => {
      for (let port = 50_000; port < 50_010; port++) expect(leave(port)).toBe(0);
      expect(mappings()).toHaveLength(20);
      change(({ direction, destinationPort }) =>
        direction === 1 && destinationPort < 50_004 ? { expires: now() - 1 } : {},
      );
      // A flow's own entry is over once its answers' is gone: in the same look, or in the next.
      ground.datapath.collect();
      ground.datapath.collect();
      expect(mappings()).toHaveLength(12);
      expect(use("skep_nat", ground.datapath.collect())).toMatchObject({ alive: 12, removed: 0 });
    });

    test("full of what is open: 167, and nothing of it goes; what is over makes room for the next packet", () => {
      for (let port = 50_000; port < 50_000 + ROOM / 2; port++) expect(leave(port)).toBe(0);
      change(({ direction }) => (direction === 1 ? { flags: 1, expires: now() + 8000 } : {}));
      expect(leave(50_100)).toBe(167);
      expect(mappings()).toHaveLength(ROOM);
      change(({ direction, destinationPort }) =>
        direction === 1 && destinationPort < 50_004 ? { expires: now() - 1 } : {},
      );
      ground.datapath.collect();
      ground.datapath.collect();
      expect(leave(50_100)).toBe(0);
      expect(mappings()).toHaveLength(ROOM - 8 + 2);
    });
  });
}
