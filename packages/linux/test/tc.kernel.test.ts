import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import {
  addBpfFilter,
  addQdisc,
  addRule,
  changeLink,
  createLink,
  deleteQdisc,
  findLink,
  handles,
  NetlinkSocket,
  addRoute,
} from "../src/netlink/index.ts";
import { LinuxBpf } from "../src/bpf/index.ts";
import { canUseBpf } from "../src/bpf/testing.ts";
import {
  bindSocket,
  inNamespace,
  isReadable,
  listenSocket,
  openDescriptors,
  openSocket,
  AF,
  SOCK,
  setNonBlocking,
  setSocketOption,
  socketName,
  type Descriptor,
} from "../src/sys/index.ts";
import type { LinuxNamespace } from "../src/net/index.ts";
import { countOf, Lab, nextDatagram, type Pair, printTable, readSockaddr, row, sendText, sockaddr } from "./lab.ts";

const enabled = canUseBpf();
printTable("Traffic control");

describe.skipIf(!enabled)("traffic control", () => {
  let lab: Lab;
  let first: Pair;
  let second: Pair;
  const port = 7002;
  const address = (bytes: readonly number[]) => ({ family: 4 as const, bytes: new Uint8Array(bytes) });

  beforeAll(() => {
    lab = new Lab("tc");
    first = lab.pair(1);
    second = lab.pair(2);
    lab.host.setSysctl("net/ipv4/ip_forward", "1");
    for (const [pair, other] of [
      [first, second],
      [second, first],
    ] as const) {
      pair.namespace.addRoute({
        destination: { address: address([10, 77, other === first ? 1 : 2, 0]), length: 24 },
        gateway: address(pair.nearAddress),
        interface: pair.far.index,
      });
      for (const each of ["all", "eth0"]) pair.namespace.setSysctl(`net/ipv4/conf/${each}/rp_filter`, "0");
    }
  });
  afterEach(() => lab.reset());
  afterAll(() => {
    if (!enabled) return;
    lab.close();
    expect(openDescriptors()).toBe(0);
  });

  function attach(program: string, pair: Pair, direction: "ingress" | "egress", config = {}) {
    const collection = lab.load("tc", [program], { config });
    const link = lab.keep(
      lab.bpf.attach(collection.programs[program]!, { hook: "tcx", interface: pair.near.index, direction }),
    );
    return { collection, link, program: collection.programs[program]! };
  }

  function withNetlink<T>(namespace: LinuxNamespace, run: (socket: NetlinkSocket) => T): T {
    return inNamespace(namespace.path, () => {
      const socket = NetlinkSocket.open();
      try {
        return run(socket);
      } finally {
        socket.close();
      }
    });
  }

  /** A datagram from the first pod; what arrives at `at`. */
  function exchange(to: Uint8Array, at: Descriptor) {
    sendText(lab.udp(first.namespace), "ping", to);
    return nextDatagram(at);
  }

  row("tcx: several programs in order, before and after one another, queried", () => {
    const one = attach("see", first, "ingress");
    const two = lab.load("tc", ["refuse"]);
    const three = lab.load("tc", ["see"]);
    const at = lab.udp(lab.host, first.nearAddress, port);
    const target = { hook: "tcx", interface: first.near.index, direction: "ingress" } as const;
    expect(exchange(sockaddr(first.nearAddress, port), at)?.text).toBe("ping");
    const last = lab.keep(lab.bpf.attach(three.programs["see"]!, { ...target, after: one.link }));
    const middle = lab.keep(lab.bpf.attach(two.programs["refuse"]!, { ...target, before: three.programs["see"]! }));
    const queried = lab.bpf.query(target);
    expect(queried.programs.map((each) => each.linkId)).toEqual([one.link, middle, last].map((each) => each.info.id));
    expect(exchange(sockaddr(first.nearAddress, port), at)).toBeNull();
    expect(countOf(three, 0)).toBe(0);
    expect(countOf(one.collection, 0)).toBeGreaterThan(1);
    middle.detach();
    const changed = lab.bpf.query(target);
    expect(changed.programs).toHaveLength(2);
    expect(changed.revision).toBeGreaterThan(queried.revision);
    expect(exchange(sockaddr(first.nearAddress, port), at)?.text).toBe("ping");
    expect(countOf(three, 0)).toBeGreaterThan(0);
    const stale = () => lab.bpf.attach(two.programs["refuse"]!, { ...target, revision: queried.revision });
    expect(stale).toThrow("ESTALE");
  });

  row("clsact with cls_bpf, direct action", () => {
    const collection = lab.load("tc", ["refuse"]);
    const at = lab.udp(lab.host, first.nearAddress, port);
    withNetlink(lab.host, (socket) => {
      addQdisc(socket, { index: first.near.index, kind: "clsact" });
      addBpfFilter(socket, {
        index: first.near.index,
        parent: handles.ingress,
        fd: collection.programs["refuse"]!.fd,
        name: "refuse",
      });
    });
    try {
      expect(exchange(sockaddr(first.nearAddress, port), at)).toBeNull();
      expect(countOf(collection, 1)).toBeGreaterThan(0);
    } finally {
      withNetlink(lab.host, (socket) => deleteQdisc(socket, { index: first.near.index, parent: handles.clsact }));
    }
    expect(exchange(sockaddr(first.nearAddress, port), at)?.text).toBe("ping");
  });

  row("redirect_neigh: to the other pod without the host's routing", () => {
    lab.host.setSysctl("net/ipv4/ip_forward", "0");
    try {
      const at = lab.udp(second.namespace, second.farAddress, port);
      expect(exchange(sockaddr(second.farAddress, port), at)).toBeNull();
      const { collection } = attach("to_neighbour", first, "ingress", { target_interface: second.near.index });
      expect(exchange(sockaddr(second.farAddress, port), at)?.text).toBe("ping");
      expect(countOf(collection, 2)).toBeGreaterThan(0);
    } finally {
      lab.host.setSysctl("net/ipv4/ip_forward", "1");
    }
  });

  row("redirect_peer: straight into the other pod", () => {
    const at = lab.udp(second.namespace, second.farAddress, port);
    const seen = attach("see", second, "egress");
    const { collection } = attach("to_peer", first, "ingress", {
      target_interface: second.near.index,
      target_mac: new Uint8Array(second.far.mac),
    });
    expect(exchange(sockaddr(second.farAddress, port), at)?.text).toBe("ping");
    expect(countOf(collection, 2)).toBe(1);
    expect(countOf(seen.collection, 0)).toBe(0);
    return "works; passes the egress hook of the peer's host side by";
  });

  row("redirect: out of an interface, and into one", () => {
    const { collection } = attach("to_interface", first, "ingress", { target_interface: second.near.index });
    const leaves = attach("see", second, "egress");
    sendText(lab.udp(first.namespace), "ping", sockaddr(first.nearAddress, port));
    expect(countOf(collection, 2)).toBe(1);
    expect(countOf(leaves.collection, 0)).toBe(1);
    lab.reset();
    const into = attach("into_interface", first, "ingress", { target_interface: second.near.index });
    const enters = attach("see", second, "ingress");
    sendText(lab.udp(first.namespace), "ping", sockaddr(first.nearAddress, port));
    expect(countOf(into.collection, 2)).toBe(1);
    expect(countOf(enters.collection, 0)).toBe(1);
  });

  row("fib_lookup: the way that the kernel would take", () => {
    const { collection } = attach("route", first, "ingress");
    const at = lab.udp(second.namespace, second.farAddress, port);
    expect(exchange(sockaddr(second.farAddress, port), at)?.text).toBe("ping");
    expect([countOf(collection, 3), countOf(collection, 4)]).toEqual([0, second.near.index]);
  });

  row("adjust_room both ways, store_bytes", () => {
    const { collection } = attach("grow", first, "ingress");
    const at = lab.udp(lab.host, first.nearAddress, port);
    expect(exchange(sockaddr(first.nearAddress, port), at)?.text).toBe("ping");
    expect([countOf(collection, 5), countOf(collection, 6), countOf(collection, 7)]).toEqual([0, 0xaa, 0]);
  });

  row("change_proto between IPv4 and IPv6", () => {
    const { collection } = attach("to_six", first, "ingress");
    sendText(lab.udp(first.namespace), "ping", sockaddr(first.nearAddress, port));
    expect([countOf(collection, 8), countOf(collection, 10)]).toEqual([0, 0]);
    expect(countOf(collection, 9)).toBe(14 + 40 + 8 + 4);
  });

  row("tunnel keys over a vxlan device without one of its own", () => {
    const tunnel = (namespace: LinuxNamespace, own: number) => {
      const index = withNetlink(namespace, (socket) => {
        createLink(socket, { name: "tun0", kind: "vxlan", data: { collectMetadata: 1, port: 4789 } });
        const link = findLink(socket, "tun0");
        if (!link) throw new Error("no tun0");
        changeLink(socket, link.index, { up: true });
        return link.index;
      });
      namespace.addAddress(index, { address: address([10, 88, 0, own]), length: 24 });
      return index;
    };
    const [near, far] = [tunnel(lab.host, 1), tunnel(first.namespace, 2)];
    try {
      const inPod = new LinuxBpf({ netns: first.namespace.path });
      const hostKeys = lab.load("tc", ["set_key", "get_key"], {
        config: { listener_address: number32(first.farAddress) },
      });
      const podKeys = lab.load("tc", ["set_key", "get_key"], {
        config: { listener_address: number32(first.nearAddress) },
      });
      for (const [machine, keys, index] of [
        [lab.bpf, hostKeys, near],
        [inPod, podKeys, far],
      ] as const) {
        lab.keep(machine.attach(keys.programs["set_key"]!, { hook: "tcx", interface: index, direction: "egress" }));
        lab.keep(machine.attach(keys.programs["get_key"]!, { hook: "tcx", interface: index, direction: "ingress" }));
      }
      const at = lab.udp(lab.host, [10, 88, 0, 1], port);
      expect(exchange(sockaddr([10, 88, 0, 1], port), at)?.text).toBe("ping");
      expect(countOf(hostKeys, 12)).toBe(4242);
    } finally {
      lab.reset();
      lab.host.deleteInterface("tun0");
      first.namespace.deleteInterface("tun0");
    }
  });

  /** An address as the kernel's programs hold it: network order in memory. */
  function host32(bytes: readonly number[]): number {
    return new DataView(new Uint8Array(bytes).buffer).getUint32(0, true);
  }

  /** An address as a number, as struct bpf_tunnel_key has it. */
  function number32(bytes: readonly number[]): number {
    return new DataView(new Uint8Array(bytes).buffer).getUint32(0, false);
  }

  row("who sent: cgroup id, socket cookie, namespace cookie", () => {
    const { collection } = attach("identify", first, "egress");
    sendText(lab.udp(lab.host), "ping", sockaddr(first.farAddress, port));
    expect(countOf(collection, 13)).toBeGreaterThan(0);
    expect(countOf(collection, 14)).toBeGreaterThan(0);
    expect(BigInt(countOf(collection, 15))).toBe(lab.host.cookie);
    expect(countOf(collection, 16)).toBeGreaterThan(0);
  });

  row("sk_assign at ingress: a transparent proxy without rules of a firewall", () => {
    const proxyPort = 15_001;
    const listener = lab.keep(
      inNamespace(lab.host.path, () => {
        const socket = openSocket(AF.INET, SOCK.STREAM);
        const IP_TRANSPARENT = { level: 0, option: 19 };
        setSocketOption(socket.fd, IP_TRANSPARENT, 1);
        bindSocket(socket.fd, sockaddr([127, 0, 0, 1], proxyPort));
        listenSocket(socket.fd);
        setNonBlocking(socket.fd);
        return socket;
      }),
    );
    withNetlink(lab.host, (socket) => {
      addRule(socket, { family: 4, mark: 1, table: 100 });
      addRoute(socket, {
        destination: { address: address([0, 0, 0, 0]), length: 0 },
        type: "local",
        table: 100,
        interface: 1,
      });
    });
    for (const each of ["all", "veth1"]) lab.host.setSysctl(`net/ipv4/conf/${each}/rp_filter`, "0");
    const { collection } = attach("assign", first, "ingress", {
      listener_address: host32([127, 0, 0, 1]),
      listener_port: proxyPort,
    });
    const client = lab.connect(first.namespace, [203, 0, 113, 9], 80);
    expect(typeof client).toBe("string");
    first.namespace.addRoute({
      destination: { address: address([203, 0, 113, 0]), length: 24 },
      gateway: address(first.nearAddress),
      interface: first.far.index,
    });
    const connected = lab.connect(first.namespace, [203, 0, 113, 9], 80);
    expect(typeof connected).toBe("object");
    expect(isReadable(listener.fd, 100)).toBe(true);
    const accepted = lab.accept(listener);
    expect(accepted && readSockaddr(socketName(accepted.fd))).toBe("203.0.113.9:80");
    expect(countOf(collection, 17)).toBe(0);
    expect(countOf(collection, 18)).toBeGreaterThan(1);
    return "works; the accepted socket has the original destination";
  });
});
