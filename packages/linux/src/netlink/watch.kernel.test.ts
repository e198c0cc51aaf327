import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type LinuxNamespace, openTun } from "../net/index.ts";
import {
  acceptSocket,
  AF,
  bindSocket,
  connectSocket,
  type Descriptor,
  listenSocket,
  openDescriptors,
  openSocket,
  sendTo,
  SOCK,
  socketName,
} from "../sys/index.ts";
import {
  addAddress,
  addRoute,
  addRule,
  changeLink,
  changesOf,
  codecs,
  createLink,
  deleteLink,
  deleteRule,
  destroySocket,
  findFamily,
  findLink,
  genericLayout,
  listFamilies,
  listSockets,
  NetlinkSocket,
  type NetworkChange,
  type NetworkWatch,
  protocols,
  setNeighbour,
  watchNetwork,
} from "./index.ts";
import { canCompare, ip, iproute, mac, makeVeth, openStage, prefix, type Stage } from "./testing.ts";

describe.skipIf(!canCompare())("what happens in a namespace", () => {
  let stage: Stage;
  let space: LinuxNamespace;
  let descriptors: number;
  beforeAll(async () => {
    stage = await openStage();
  });
  beforeEach(() => {
    space = stage.make("watched");
    descriptors = openDescriptors();
  });
  afterEach(() => {
    stage.clear();
    expect(openDescriptors()).toBe(descriptors);
  });
  afterAll(() => stage.close());

  /** Waits until `changes` has one that fits. */
  async function until(
    changes: readonly NetworkChange[],
    fits: (change: NetworkChange) => boolean,
  ): Promise<NetworkChange> {
    for (let round = 0; round < 20_000; round++) {
      const found = changes.find(fits);
      if (found) return found;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error("the change did not come");
  }

  test("changes of links, addresses, routes, rules and neighbours are seen, and only from this namespace", async () => {
    const other = stage.make("elsewhere");
    const changes: NetworkChange[] = [];
    let lost = 0;
    const watch = space.run(() =>
      watchNetwork(
        ["links", "addresses", "routes", "rules", "neighbours"],
        (change) => changes.push(change),
        () => lost++,
      ),
    );
    other.netlink((socket) => createLink(socket, { kind: "veth", name: "foreign", peer: { name: "b" } }));
    const index = space.netlink((socket) => {
      createLink(socket, { kind: "veth", name: "a", peer: { name: "b" } });
      const link = findLink(socket, "a")!.index;
      changeLink(socket, findLink(socket, "b")!.index, { up: true });
      changeLink(socket, link, { up: true });
      addAddress(socket, { index: link, prefix: prefix("10.0.0.1/24") });
      addRoute(socket, { destination: prefix("10.9.0.0/16"), gateway: ip("10.0.0.2") });
      addRule(socket, { family: 4, priority: 9, table: 9 });
      setNeighbour(socket, { index: link, address: ip("10.0.0.2"), mac: mac(2) });
      deleteRule(socket, { family: 4, priority: 9, table: 9 });
      deleteLink(socket, "a");
      return link;
    });
    await until(
      changes,
      (change) => change.subject === "links" && change.change === "deleted" && change.link.name === "a",
    );
    watch.close();
    expect(lost).toBe(0);
    const seen = changes.map((change) => {
      switch (change.subject) {
        case "links":
          return `${change.change} link ${change.link.name} ${change.link.up ? "up" : "down"}`;
        case "addresses":
          return `${change.change} address ${change.address.prefix.address.bytes.join(".")} on ${change.address.index}`;
        case "routes":
          return `${change.change} route ${change.route.destination.address.bytes.join(".")}/${change.route.destination.length}`;
        case "rules":
          return `${change.change} rule ${change.rule.priority}`;
        case "neighbours":
          return `${change.change} neighbour ${change.neighbour.address?.bytes.join(".")}`;
      }
    });
    for (const expected of [
      "set link a down",
      "set link a up",
      `set address 10.0.0.1 on ${index}`,
      "set route 10.9.0.0/16",
      "set rule 9",
      "set neighbour 10.0.0.2",
      "deleted rule 9",
      "deleted link a down",
    ])
      expect(seen).toContain(expected);
    expect(seen.filter((line) => line.includes("foreign"))).toEqual([]);
  });

  test("whether there were changes is known without waiting", () => {
    const changes = space.run(() => changesOf(["routes", "neighbours"]));
    try {
      expect(changes.discard()).toBe(false);
      const index = space.netlink((socket) => {
        createLink(socket, { kind: "veth", name: "c", peer: { name: "d" } });
        for (const name of ["c", "d"]) changeLink(socket, findLink(socket, name)!.index, { up: true });
        return findLink(socket, "c")!.index;
      });
      // Its own addresses' routes come with the link, some of them later.
      const quiet = (): void => {
        for (let round = 0; changes.discard(); round++) if (round > 100_000) throw new Error("changes without an end");
      };
      quiet();
      space.netlink((socket) => setNeighbour(socket, { index, address: ip("10.0.0.3"), mac: mac(3) }));
      expect(changes.discard()).toBe(true);
      quiet();
    } finally {
      changes.close();
    }
  });

  test("a watcher that is too slow is told that changes were lost", async () => {
    const changes: NetworkChange[] = [];
    let watch: NetworkWatch | null = null;
    const lost = new Promise<void>((resolve) => {
      watch = space.run(() => watchNetwork(["routes"], (change) => changes.push(change), resolve));
    });
    // The event loop does not run while these are made: they pile up in the socket's buffer.
    const index = makeVeth(space);
    space.netlink((socket) => {
      for (let at = 0; at < 4000; at++)
        addRoute(socket, { destination: prefix(`11.${at >> 8}.${at & 255}.0/24`), interface: index, table: 500 });
    });
    await lost;
    expect(changes.length).toBeLessThan(4000);
    // It goes on watching.
    space.netlink((socket) => addRoute(socket, { destination: prefix("12.0.0.0/8"), interface: index }));
    await until(changes, (change) => change.subject === "routes" && change.route.destination.address.bytes[0] === 12);
    watch!.close();
  });

  test("generic netlink: families by name, and a question to one", () => {
    const socket = space.run(() => NetlinkSocket.open(protocols.generic));
    try {
      expect(findFamily(socket, "nosuchfamily")).toBeNull();
      const controller = findFamily(socket, "nlctrl")!;
      expect(controller).toMatchObject({ id: 16, name: "nlctrl", commands: expect.arrayContaining([3]) });
      expect(controller.groups["notify"]).toBeGreaterThan(0);
      const families = listFamilies(socket);
      expect(families.find(({ name }) => name === "nlctrl")).toEqual(controller);
      const devices = families.find(({ name }) => name === "netdev");
      if (!devices) return console.warn("skipped: this kernel has no family netdev");
      // Documentation/netlink/specs/netdev.yaml: dev-get 1; ifindex 1, xdp-features 3.
      const { attributes, u32, u64 } = codecs;
      const layout = genericLayout(devices, attributes({ index: [1, u32], xdpFeatures: [3, u64] }));
      space.netlink((route) => createLink(route, { kind: "veth", name: "a", peer: { name: "b" } }));
      const { index } = space.interface("a")!;
      const request = { type: devices.id, layout, header: { command: 1, version: 1 }, attributes: { index } };
      const answer = layout.attributes.decode(socket.get(request).payload.subarray(4));
      expect(answer.index).toBe(index);
      expect(answer.xdpFeatures! & 1n).toBe(1n);
    } finally {
      socket.close();
    }
  });

  const address4 = (port: number) =>
    Uint8Array.of(AF.INET, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  const portOf = (descriptor: Descriptor): number => {
    const name = socketName(descriptor.fd);
    return (name[2]! << 8) | name[3]!;
  };

  test("sockets of the namespace, and the end of one from outside", () => {
    const diagnosis = space.run(() => NetlinkSocket.open(protocols.sockDiag));
    const [listener, client, datagrams] = space.run(() => [
      openSocket(AF.INET, SOCK.STREAM),
      openSocket(AF.INET, SOCK.STREAM),
      openSocket(AF.INET6, SOCK.DGRAM),
    ]) as [Descriptor, Descriptor, Descriptor];
    let accepted: Descriptor | null = null;
    try {
      bindSocket(listener.fd, address4(8080));
      listenSocket(listener.fd);
      connectSocket(client.fd, address4(8080));
      accepted = acceptSocket(listener.fd);
      const name6 = new Uint8Array(28);
      name6.set([AF.INET6, 0, 5353 >> 8, 5353 & 255]);
      bindSocket(datagrams.fd, name6);

      expect(listSockets(diagnosis, { protocol: "tcp", states: ["listen"] })).toMatchObject([
        { state: "listen", sourcePort: 8080, source: ip("127.0.0.1"), destinationPort: 0 },
      ]);
      const established = listSockets(diagnosis, { protocol: "tcp", states: ["established"] });
      const port = portOf(client);
      expect(established.map(({ sourcePort, destinationPort }) => [sourcePort, destinationPort]).sort()).toEqual(
        [
          [8080, port],
          [port, 8080],
        ].sort(),
      );
      expect(listSockets(diagnosis, { protocol: "udp", family: 6 })).toMatchObject([
        { sourcePort: 5353, source: ip("::") },
      ]);
      expect(listSockets(diagnosis, { protocol: "udp", family: 4 })).toEqual([]);

      const victim = established.find(({ sourcePort }) => sourcePort === port)!;
      expect(victim.cookie).toBeGreaterThan(0n);
      expect(destroySocket(diagnosis, victim)).toBe(true);
      expect(destroySocket(diagnosis, victim)).toBe(false);
      expect(() => sendTo(client.fd, Uint8Array.of(1))).toThrow(/ECONNABORTED|EPIPE/);
      expect(listSockets(diagnosis, { protocol: "tcp", states: ["established"] })).toEqual([]);
    } finally {
      for (const each of [diagnosis, listener, client, datagrams, accepted]) each?.close();
    }
  });

  test("a TUN device carries packets both ways", () => {
    const device = space.run(() => openTun({ name: "skep0", mode: "tun" }));
    const receiver = space.run(() => openSocket(AF.INET, SOCK.DGRAM));
    try {
      expect(iproute(space, "ip -d link show skep0")[0]).toMatchObject({
        linkinfo: { info_kind: "tun", info_data: { type: "tun", pi: false } },
      });
      const index = space.netlink((socket) => {
        const link = findLink(socket, "skep0")!;
        expect(link).toMatchObject({ kind: "tun", data: { type: 1, packetInfo: 0 } });
        changeLink(socket, link.index, { up: true });
        addAddress(socket, { index: link.index, prefix: prefix("10.5.0.1/24") });
        return link.index;
      });
      expect(index).toBeGreaterThan(1);
      const to = Uint8Array.of(AF.INET, 0, 0, 9, 10, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0);
      sendTo(receiver.fd, Uint8Array.of(1, 2, 3), { to });
      const packets: Uint8Array[] = [];
      for (let packet = device.read(); packet; packet = device.read()) packets.push(packet);
      const sent = packets.find((packet) => packet[0]! >> 4 === 4 && packet[9] === 17)!;
      expect([...sent.subarray(12, 20)]).toEqual([10, 5, 0, 1, 10, 5, 0, 7]);
      expect([...sent.subarray(28)]).toEqual([1, 2, 3]);
      // Sent back with the addresses exchanged, it arrives at the sender's own port. UDP without a checksum.
      const reply = sent.slice();
      reply.set(sent.subarray(16, 20), 12);
      reply.set(sent.subarray(12, 16), 16);
      reply.set(sent.subarray(22, 24), 20);
      reply.set(sent.subarray(20, 22), 22);
      reply.set([0, 0], 26);
      device.write(reply);
      const [received] = listUdp(space);
      expect(received!.receiveQueue).toBeGreaterThan(0);
    } finally {
      device.close();
      receiver.close();
    }
    expect(space.interface("skep0")).toBeNull();
  });

  test("a persistent TAP device stays, and its name is checked", () => {
    const device = space.run(() => openTun({ name: "tap7", mode: "tap", persistent: true, owner: 65_534 }));
    expect(device.name).toBe("tap7");
    device.close();
    expect(space.netlink((socket) => findLink(socket, "tap7"))).toMatchObject({
      kind: "tun",
      data: { type: 2, persist: 1, owner: 65_534 },
    });
    const again = space.run(() => openTun({ name: "tap7", mode: "tap", persistent: false }));
    again.close();
    expect(space.interface("tap7")).toBeNull();
    expect(() => openTun({ name: "a-name-that-is-too-long", mode: "tap" })).toThrow(RangeError);
  });

  function listUdp(from: LinuxNamespace) {
    const socket = from.run(() => NetlinkSocket.open(protocols.sockDiag));
    try {
      return listSockets(socket, { protocol: "udp", family: 4 });
    } finally {
      socket.close();
    }
  }
});
