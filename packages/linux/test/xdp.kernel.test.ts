import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { changeLink, createLink, findLink, NetlinkSocket, type LinkSpec } from "../src/netlink/index.ts";
import { LinuxBpf } from "../src/bpf/index.ts";
import { canUseBpf } from "../src/bpf/testing.ts";
import { inNamespace, openDescriptors } from "../src/sys/index.ts";
import {
  countOf,
  Lab,
  nextDatagram,
  type Pair,
  printTable,
  refusedRow,
  row,
  sendText,
  sockaddr,
  testObject,
  u32,
} from "./lab.ts";
import { openXdpSocket } from "./xdp-socket.ts";

const enabled = canUseBpf();
printTable("XDP");

describe.skipIf(!enabled)("XDP", () => {
  let lab: Lab;
  let first: Pair;
  let second: Pair;

  beforeAll(() => {
    lab = new Lab("xdp");
    first = lab.pair(1);
    second = lab.pair(2);
    // An address of the second pod that the first believes to be next to it.
    const address = { family: 4 as const, bytes: new Uint8Array(across) };
    first.namespace.addNeighbour(first.far.index, address, second.far.mac);
    second.namespace.addAddress(second.far.index, { address, length: 32 });
    for (const each of ["all", "eth0"]) second.namespace.setSysctl(`net/ipv4/conf/${each}/rp_filter`, "0");
  });
  afterEach(() => lab.reset());
  afterAll(() => {
    if (!enabled) return;
    lab.close();
    expect(openDescriptors()).toBe(0);
  });

  const port = 7001;
  const across = [10, 77, 1, 99] as const;

  /** Sends from the first pod to an address and gives what arrives at `at`. */
  function exchange(to: Uint8Array, at: ReturnType<Lab["udp"]>) {
    sendText(lab.udp(first.namespace), "ping", to);
    return nextDatagram(at);
  }

  function native(program: string, index: number, object = "xdp", options = {}) {
    const collection = lab.load(object, [program], options);
    const link = lab.keep(
      lab.bpf.attach(collection.programs[program]!, { hook: "xdp", interface: index, mode: "native" }),
    );
    return { collection, link };
  }

  row("XDP native on veth: sees, is replaced at once, ends with its link", () => {
    const at = lab.udp(lab.host, first.nearAddress, port);
    const to = sockaddr(first.nearAddress, port);
    const { collection, link } = native("pass", first.near.index);
    expect(exchange(to, at)?.text).toBe("ping");
    expect(countOf(collection, 0)).toBeGreaterThan(0);
    const drop = lab.load("xdp", ["drop"]);
    link.update(drop.programs["drop"]!);
    expect(exchange(to, at)).toBeNull();
    expect(countOf(drop, 1)).toBeGreaterThan(0);
    link.close();
    expect(exchange(to, at)?.text).toBe("ping");
  });

  const devices: readonly LinkSpec[] = [
    { name: "vx0", kind: "vxlan", data: { collectMetadata: 1, port: 4789 } } as LinkSpec,
    { name: "mv0", kind: "macvlan", data: { mode: 4 } } as LinkSpec,
    { name: "br0", kind: "bridge" } as LinkSpec,
  ];
  for (const device of devices) {
    row(`XDP generic on ${device.kind}`, () => {
      const index = inNamespace(lab.host.path, () => {
        const socket = NetlinkSocket.open();
        try {
          createLink(socket, device.kind === "macvlan" ? ({ ...device, link: first.near.index } as LinkSpec) : device);
          const link = findLink(socket, device.name);
          if (!link) throw new Error(`no ${device.name}`);
          return link.index;
        } finally {
          socket.close();
        }
      });
      try {
        const { programs } = lab.load("xdp", ["pass"]);
        const link = lab.keep(lab.bpf.attach(programs["pass"]!, { hook: "xdp", interface: index, mode: "generic" }));
        expect(link.info).toMatchObject({ type: "xdp", interface: index });
        const attach = () =>
          lab.keep(lab.bpf.attach(programs["pass"]!, { hook: "xdp", interface: index, mode: "native" }));
        link.close();
        expect(attach).toThrow(/this kernel does not support XDP in the driver/);
        return "works; native: refused with NotSupportedError";
      } finally {
        lab.reset();
        lab.host.deleteInterface(device.name);
      }
    });
  }

  row("XDP generic on lo", () => {
    const { programs } = lab.load("xdp", ["pass"]);
    lab.keep(lab.bpf.attach(programs["pass"]!, { hook: "xdp", interface: 1, mode: "generic" }));
  });

  row("one XDP link per device and mode", () => {
    const { collection } = native("pass", first.near.index);
    const again = (mode: "native" | "generic") =>
      lab.bpf.attach(collection.programs["pass"]!, { hook: "xdp", interface: first.near.index, mode });
    expect(() => again("native")).toThrow("EBUSY");
    expect(() => again("generic")).toThrow("EEXIST");
    return "second native: EBUSY, generic beside it: EEXIST";
  });

  row("XDP_TX to a veth whose other end has a program", () => {
    const at = lab.udp(first.namespace, first.farAddress, port);
    const { collection } = native("reflect", first.near.index);
    dummyAt(first);
    sendText(at, "mirror", sockaddr(first.nearAddress, port));
    expect(nextDatagram(at)?.text).toBe("mirror");
    expect(countOf(collection, 2)).toBe(1);
  });

  /** What a veth wants at its other end to take redirected frames: any program. */
  function dummyAt(pair: Pair) {
    const { programs } = lab.load("xdp", ["pass"]);
    const inPod = new LinuxBpf({ netns: pair.namespace.path });
    lab.keep(inPod.attach(programs["pass"]!, { hook: "xdp", interface: pair.far.index, mode: "native" }));
  }

  /** A datagram to the second pod enters at the first pod's interface. */
  function sendAcross(at: ReturnType<Lab["udp"]>) {
    sendText(lab.udp(first.namespace), "across", sockaddr(across, port));
    return nextDatagram(at);
  }

  for (const [kind, program, key] of [
    ["devmap", "to_port", 0],
    ["devmap_hash", "to_hashed", 77],
  ] as const) {
    row(`redirect through ${kind} with a program at the port`, () => {
      const at = lab.udp(second.namespace, [0, 0, 0, 0], port);
      dummyAt(second);
      const collection = lab.load("xdp", [program, "at_port"]);
      const value = new Uint8Array(8);
      value.set(u32(second.near.index));
      value.set(u32(collection.programs["at_port"]!.fd), 4);
      inNamespace(lab.host.path, () => collection.maps[kind === "devmap" ? "ports" : "hashed"]!.set(u32(key), value));
      lab.keep(
        lab.bpf.attach(collection.programs[program]!, { hook: "xdp", interface: first.near.index, mode: "native" }),
      );
      expect(sendAcross(at)?.text).toBe("across");
      expect([countOf(collection, 3), countOf(collection, 4), countOf(collection, 5)]).toEqual([
        1,
        1,
        second.near.index,
      ]);
    });
  }

  row("broadcast to every port but the one it came from", () => {
    const at = lab.udp(second.namespace, [0, 0, 0, 0], port);
    dummyAt(second);
    const collection = lab.load("xdp", ["to_all"]);
    inNamespace(lab.host.path, () => {
      for (const [slot, pair] of [first, second].entries()) {
        const value = new Uint8Array(8);
        value.set(u32(pair.near.index));
        collection.maps["ports"]!.set(u32(slot), value);
      }
    });
    lab.keep(
      lab.bpf.attach(collection.programs["to_all"]!, { hook: "xdp", interface: first.near.index, mode: "native" }),
    );
    expect(sendAcross(at)?.text).toBe("across");
    expect(countOf(collection, 3)).toBe(1);
  });

  for (const mode of ["native", "generic"] as const) {
    row(`cpumap with a program at the CPU, ${mode}`, () => {
      const at = lab.udp(lab.host, first.nearAddress, port);
      const collection = lab.load("xdp", ["to_cpu", "at_cpu"]);
      const value = new Uint8Array(8);
      value.set(u32(64));
      value.set(u32(collection.programs["at_cpu"]!.fd), 4);
      collection.maps["cpus"]!.set(u32(1), value);
      lab.keep(lab.bpf.attach(collection.programs["to_cpu"]!, { hook: "xdp", interface: first.near.index, mode }));
      expect(exchange(sockaddr(first.nearAddress, port), at)?.text).toBe("ping");
      expect(countOf(collection, 6)).toBe(1);
      expect(countOf(collection, 7)).toBe(1);
    });
  }

  row("frames of several buffers: only for programs that say that they can", () => {
    const set = (mtu: number) =>
      [[lab.host.path, first.near.index] as const, [first.namespace.path, first.far.index] as const].forEach(
        ([path, index]) =>
          inNamespace(path, () => {
            const socket = NetlinkSocket.open();
            changeLink(socket, index, { mtu });
            socket.close();
          }),
      );
    set(9000);
    try {
      expect(() => native("pass", first.near.index)).toThrow("ERANGE");
      const { collection } = native("frags", first.near.index);
      const at = lab.udp(lab.host, first.nearAddress, port);
      sendText(lab.udp(first.namespace), "x".repeat(8000), sockaddr(first.nearAddress, port));
      expect(nextDatagram(at)).not.toBeNull();
      expect(countOf(collection, 9)).toBe(1);
    } finally {
      lab.reset();
      set(1500);
    }
    return "works; without the flag: ERANGE";
  });

  for (const mode of ["native", "generic"] as const) {
    row(`metadata from XDP to tc, ${mode}`, () => {
      const at = lab.udp(lab.host, first.nearAddress, port);
      const collection = lab.load("xdp", ["mark", "read_mark"]);
      lab.keep(lab.bpf.attach(collection.programs["mark"]!, { hook: "xdp", interface: first.near.index, mode }));
      lab.keep(
        lab.bpf.attach(collection.programs["read_mark"]!, {
          hook: "tcx",
          interface: first.near.index,
          direction: "ingress",
        }),
      );
      expect(exchange(sockaddr(first.nearAddress, port), at)?.text).toBe("ping");
      expect(countOf(collection, 10)).toBe(1);
    });
  }

  row("receive metadata functions in a program bound to its device", () => {
    const XDP_DEV_BOUND_ONLY = 64;
    const object = boundObject(XDP_DEV_BOUND_ONLY);
    const collection = lab.keep(lab.bpf.load(object, { programs: ["timestamp"], interface: first.near.index }));
    lab.keep(
      lab.bpf.attach(collection.programs["timestamp"]!, { hook: "xdp", interface: first.near.index, mode: "native" }),
    );
    const at = lab.udp(lab.host, first.nearAddress, port);
    expect(exchange(sockaddr(first.nearAddress, port), at)?.text).toBe("ping");
    expect(countOf(collection, 11)).toBe(1);
  });

  for (const mode of ["native", "generic"] as const) {
    row(`AF_XDP socket through an xskmap, copy, ${mode}`, () => {
      // Another interface each time: the kernel gives a queue back a little after the socket is closed.
      const pair = mode === "native" ? first : second;
      const collection = lab.load("xdp", ["to_socket"]);
      const socket = lab.keep(inNamespace(lab.host.path, () => openXdpSocket(pair.near.index, 0)));
      collection.maps["sockets"]!.setDescriptor(u32(0), socket.fd);
      lab.keep(lab.bpf.attach(collection.programs["to_socket"]!, { hook: "xdp", interface: pair.near.index, mode }));
      sendText(lab.udp(pair.namespace), "for the socket", sockaddr(pair.nearAddress, port));
      const frame = socket.receive();
      expect(new TextDecoder().decode(frame ?? new Uint8Array(0))).toContain("for the socket");
      expect(countOf(collection, 8)).toBe(1);
    });
  }

  row("live frames: a packet generator", () => {
    const at = lab.udp(lab.host, first.nearAddress, port);
    const generator = inNamespace(first.namespace.path, () => lab.load("xdp", ["pass"]));
    native("drop", first.near.index);
    inNamespace(first.namespace.path, () => {
      const context = new Uint8Array(24);
      const view = new DataView(context.buffer);
      view.setUint32(4, 64, true);
      view.setUint32(12, first.far.index, true);
      generator.programs["pass"]!.test({ data: new Uint8Array(64), context, live: true, repeat: 1000 });
    });
    expect(countOf(generator, 0)).toBe(1000);
    expect(nextDatagram(at)).toBeNull();
  });

  row("a program of a chain (tail call) decides", () => {
    const at = lab.udp(lab.host, first.nearAddress, port);
    const collection = lab.load("xdp", ["enter", "inner"]);
    lab.keep(
      lab.bpf.attach(collection.programs["enter"]!, { hook: "xdp", interface: first.near.index, mode: "native" }),
    );
    expect(exchange(sockaddr(first.nearAddress, port), at)).toBeNull();
    expect(countOf(collection, 12)).toBeGreaterThan(0);
  });

  refusedRow("replacing a function of an XDP program (freplace)", "NotSupportedError", () => {
    const base = lab.load("xdp", ["pass"]);
    lab.load("tracing", ["replace_pass"], { targets: { replace_pass: base.programs["pass"]! } });
  });

  function boundObject(flag: number) {
    const spec = testObject("xdp");
    const program = spec.programs["timestamp"]!;
    return { ...spec, programs: { ...spec.programs, timestamp: { ...program, flags: program.flags | flag } } };
  }
});
