import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { LinuxNamespace } from "../net/index.ts";
import {
  addForwarding,
  changeBridgePort,
  changeLink,
  createLink,
  deleteForwarding,
  deleteLink,
  findLink,
  listForwarding,
  listLinks,
  macvlanModes,
  NetlinkError,
  UnknownLinkTypeError,
} from "./index.ts";
import { canCompare, codeOf, ip, iproute, mac, openStage, type Stage } from "./testing.ts";

describe.skipIf(!canCompare())("links beside iproute2", () => {
  let stage: Stage;
  let space: LinuxNamespace;
  beforeAll(async () => {
    stage = await openStage();
  });
  beforeEach(() => (space = stage.make("links")));
  afterEach(() => stage.clear());
  afterAll(() => stage.close());

  type Shown = { linkinfo: { info_kind: string; info_data: Record<string, unknown> } } & Record<string, unknown>;
  const shown = (name: string): Shown => iproute(space, `ip -d link show ${name}`)[0] as Shown;

  test("a veth pair with queues, MTU and MACs", () => {
    space.netlink((socket) => {
      const peer = { name: "b", mac: mac(2), transmitQueues: 3, receiveQueues: 2, mtu: 1300 };
      createLink(socket, {
        kind: "veth",
        name: "a",
        mac: mac(1),
        mtu: 1400,
        transmitQueues: 2,
        receiveQueues: 2,
        peer,
      });
    });
    expect(shown("a")).toMatchObject({ address: "02:00:00:00:00:01", mtu: 1400, num_tx_queues: 2, link: "b" });
    expect(shown("b")).toMatchObject({ address: "02:00:00:00:00:02", mtu: 1300, num_tx_queues: 3, num_rx_queues: 2 });
    const found = space.netlink((socket) => findLink(socket, "b"))!;
    expect(found).toMatchObject({
      kind: "veth",
      transmitQueues: 3,
      receiveQueues: 2,
      mtu: 1300,
      qdisc: "noop",
      up: false,
    });
    expect(found.link).toBe(shown("a")["ifindex"]);
  });

  test("all links, as ip lists them", () => {
    space.netlink((socket) => {
      createLink(socket, { kind: "veth", name: "a", peer: { name: "b" } });
      createLink(socket, { kind: "bridge", name: "br0", up: true });
      changeLink(socket, findLink(socket, "a")!.index, { alias: "to the other side", up: true, promiscuous: true });
    });
    const expected = iproute(space, "ip -d link show").map((link) => {
      const linkinfo = link["linkinfo"] as { info_kind?: string } | undefined;
      return [
        link["ifindex"],
        link["ifname"],
        link["address"],
        link["mtu"],
        linkinfo?.info_kind,
        link["ifalias"],
        link["qdisc"],
      ];
    });
    const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    const found = space
      .netlink(listLinks)
      .map(({ index, name, mac, mtu, kind, alias, qdisc }) => [index, name, hex(mac), mtu, kind, alias, qdisc]);
    expect(found).toEqual(expected);
    expect(iproute(space, "ip link show a")[0]).toMatchObject({
      flags: expect.arrayContaining(["PROMISC", "UP"]),
      ifalias: "to the other side",
    });
  });

  test("changes: name, MAC, MTU, queue length, group, up and down", () => {
    space.netlink((socket) => {
      createLink(socket, { kind: "veth", name: "a", peer: { name: "b" } });
      const { index } = findLink(socket, "a")!;
      changeLink(socket, index, { name: "renamed", mac: mac(7), mtu: 1234, transmitQueueLength: 77, group: 5 });
      changeLink(socket, index, { gsoMaxSize: 32_768, up: true });
      expect(findLink(socket, "a")).toBeNull();
      expect(findLink(socket, "renamed")).toMatchObject({ index, mtu: 1234, up: true, gsoMaxSize: 32_768 });
      changeLink(socket, index, { up: false });
      expect(findLink(socket, index)!.up).toBe(false);
    });
    expect(shown("renamed")).toMatchObject({
      address: "02:00:00:00:00:07",
      mtu: 1234,
      txqlen: 77,
      group: "5",
      gso_max_size: 32_768,
    });
  });

  test("vxlan to a remote", () => {
    space.netlink((socket) =>
      createLink(socket, {
        kind: "vxlan",
        name: "vx0",
        data: {
          id: 42,
          group: ip("192.0.2.9"),
          local: ip("192.0.2.1"),
          port: 4789,
          learning: 0,
          ttl: 8,
          udpChecksum: 1,
        },
      }),
    );
    expect(shown("vx0").linkinfo).toMatchObject({
      info_kind: "vxlan",
      info_data: {
        id: 42,
        remote: "192.0.2.9",
        local: "192.0.2.1",
        port: 4789,
        learning: false,
        ttl: 8,
        udp_csum: true,
      },
    });
    expect(space.netlink((socket) => findLink(socket, "vx0"))!.data).toMatchObject({ id: 42, port: 4789, learning: 0 });
  });

  test("external vxlan, over IPv6 too", () => {
    space.netlink((socket) => {
      createLink(socket, { kind: "vxlan", name: "vx0", data: { collectMetadata: 1, port: 8472, learning: 0 } });
      createLink(socket, { kind: "vxlan", name: "vx1", data: { id: 9, group6: ip("fd00::9"), port: 8473 } });
    });
    expect(shown("vx0").linkinfo.info_data).toMatchObject({ external: true, port: 8472 });
    expect(shown("vx1").linkinfo.info_data).toMatchObject({ id: 9, remote6: "fd00::9" });
    expect(space.netlink((socket) => findLink(socket, "vx1"))!.data!["group6"]).toEqual(ip("fd00::9"));
  });

  test("forwarding entries of a vxlan", () => {
    space.netlink((socket) => {
      createLink(socket, { kind: "vxlan", name: "vx0", data: { id: 42, port: 4789 } });
      const { index } = findLink(socket, "vx0")!;
      addForwarding(socket, { index, mac: new Uint8Array(6), address: ip("192.0.2.2"), append: true });
      addForwarding(socket, { index, mac: new Uint8Array(6), address: ip("192.0.2.3"), append: true });
      addForwarding(socket, { index, mac: mac(5), address: ip("192.0.2.5"), vni: 43, port: 4790 });
      expect(
        codeOf(() => addForwarding(socket, { index, mac: mac(5), address: ip("192.0.2.5"), vni: 43, port: 4790 })),
      ).toBe("EEXIST");
    });
    const expected = iproute(space, "bridge fdb show dev vx0").map((entry) => [
      entry["mac"],
      entry["dst"],
      entry["vni"] ?? undefined,
    ]);
    expect(expected).toHaveLength(3);
    const { index } = space.interface("vx0")!;
    const hex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
    const found = space.netlink((socket) => listForwarding(socket, { index }));
    expect(found.map(({ mac, address, vni }) => [hex(mac!), [...address!.bytes].join("."), vni])).toEqual(expected);
    space.netlink((socket) => {
      const entry = { index, mac: mac(5), address: ip("192.0.2.5"), vni: 43, port: 4790 };
      expect(deleteForwarding(socket, entry)).toBe(true);
      expect(deleteForwarding(socket, entry)).toBe(false);
    });
    expect(iproute(space, "bridge fdb show dev vx0")).toHaveLength(2);
  });

  test("macvlan on a veth", () => {
    space.netlink((socket) => {
      createLink(socket, { kind: "veth", name: "a", peer: { name: "b" } });
      const link = findLink(socket, "a")!.index;
      createLink(socket, { kind: "macvlan", name: "mv0", link, data: { mode: macvlanModes.bridge } });
    });
    expect(shown("mv0")).toMatchObject({
      link: "a",
      linkinfo: { info_kind: "macvlan", info_data: { mode: "bridge" } },
    });
  });

  test("a bridge and its ports", () => {
    space.netlink((socket) => {
      createLink(socket, {
        kind: "bridge",
        name: "br0",
        up: true,
        data: { stpState: 0, forwardDelay: 300, multicastSnooping: 0, ageingTime: 1000 },
      });
      const master = findLink(socket, "br0")!.index;
      createLink(socket, { kind: "veth", name: "a", master, peer: { name: "b" } });
      const { index } = findLink(socket, "a")!;
      changeBridgePort(socket, index, { isolated: 1, hairpin: 1, learning: 0 });
      addForwarding(socket, { index, mac: mac(9), master: true });
      expect(findLink(socket, "a")).toMatchObject({ master, port: { isolated: 1, hairpin: 1, learning: 0 } });
    });
    expect(shown("br0").linkinfo.info_data).toMatchObject({
      forward_delay: 300,
      stp_state: 0,
      mcast_snooping: 0,
      ageing_time: 1000,
    });
    expect(shown("a")).toMatchObject({
      master: "br0",
      linkinfo: { info_slave_data: { isolated: true, hairpin: true, learning: false } },
    });
    expect(iproute(space, "bridge fdb show br br0 dev a")).toContainEqual(
      expect.objectContaining({ mac: "02:00:00:00:00:09" }),
    );
    space.netlink((socket) => changeLink(socket, findLink(socket, "a")!.index, { master: null }));
    expect(shown("a")["master"]).toBeUndefined();
  });

  test("ifb, which has no options", () => {
    space.netlink((socket) => createLink(socket, { kind: "other", type: "ifb", name: "ifb0" }));
    expect(shown("ifb0").linkinfo.info_kind).toBe("ifb");
    expect(space.netlink((socket) => deleteLink(socket, "ifb0"))).toBe(true);
  });

  test("moving a link to another namespace", () => {
    const other = stage.make("other");
    space.netlink((socket) => createLink(socket, { kind: "veth", name: "a", peer: { name: "b" } }));
    other.run(() => undefined);
    const pair = space.createVeth("c", { namespace: other, name: "d" });
    expect(space.netlink((socket) => findLink(socket, "c"))).toMatchObject({ link: pair.peer.index });
    expect(space.netlink((socket) => findLink(socket, "c"))!.linkNamespaceId).toBeGreaterThanOrEqual(0);
    expect(space.netlink((socket) => findLink(socket, "a"))!.linkNamespaceId).toBeUndefined();
  });

  // What this kernel was built without is refused by name; what another kernel has is made.
  test.each(["wireguard", "dummy", "vlan", "netkit", "geneve", "nosuchtype"])(
    "a link of type %s is made or refused by name",
    (type) => {
      const make = () => space.netlink((socket) => createLink(socket, { kind: "other", type, name: "x0" }));
      try {
        make();
        expect(shown("x0").linkinfo.info_kind).toBe(type);
      } catch (error) {
        if (error instanceof NetlinkError) expect(error.code).toMatch(/EINVAL|ENODEV/);
        else {
          expect(error).toBeInstanceOf(UnknownLinkTypeError);
          expect((error as UnknownLinkTypeError).message).toBe(`this kernel has no links of type ${type}`);
          expect((error as UnknownLinkTypeError).cause).toBeInstanceOf(NetlinkError);
        }
        expect(space.interface("x0")).toBeNull();
      }
    },
  );

  test("a netkit pair is made, or refused by name", () => {
    const other = stage.make("other");
    try {
      const { host, peer } = space.createNetkit("n0", { namespace: other, name: "n1" }, { mode: "l2", mtu: 1400 });
      expect([host.kind, peer.kind, host.mtu, host.peerIndex]).toEqual(["netkit", "netkit", 1400, peer.index]);
    } catch (error) {
      expect(error).toMatchObject({ name: "NotSupportedError" });
      expect(String(error)).toMatch(
        /this kernel does not support links of type netkit \(Linux 6\.7 has it\): built with/,
      );
      expect(space.interface("n0")).toBeNull();
      expect(other.interface("n1")).toBeNull();
    }
  });

  test("the kernel's words and the attribute that it means are in the error", () => {
    space.netlink((socket) => createLink(socket, { kind: "veth", name: "a", peer: { name: "b" } }));
    const error = (run: () => void): NetlinkError => {
      try {
        run();
      } catch (thrown) {
        if (thrown instanceof NetlinkError) return thrown;
        throw thrown;
      }
      throw new Error("nothing thrown");
    };
    const small = error(() => space.netlink((socket) => changeLink(socket, findLink(socket, "a")!.index, { mtu: 10 })));
    expect(small).toMatchObject({ code: "EINVAL", kernelMessage: "mtu less than device minimum" });
    expect(small.message).toBe('netlink(link, 16) "mtu less than device minimum": EINVAL: invalid argument');
    const range = error(() =>
      space.netlink((socket) => createLink(socket, { kind: "vxlan", name: "vx", data: { id: 1 << 25 } })),
    );
    expect(range).toMatchObject({ code: "ERANGE", attribute: "info.data.id" });
    expect(range.message).toContain("(attribute info.data.id)");
  });
});
