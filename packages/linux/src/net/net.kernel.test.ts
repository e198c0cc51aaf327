import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Prefix } from "@skep/net";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { AF, bindSocket, isErrno, isReadable, openDescriptors, openSocket, sendTo, SOCK } from "../sys/index.ts";
import { type LinuxNamespace, type LinuxNet, openNet } from "./index.ts";
import { openProcesses } from "../processes/index.ts";
import { reapTests, removeTestFolder, testFolder } from "./testing.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: network namespaces need root");

const v4 = (text: string): Prefix => {
  const [address = "", length] = text.split("/");
  return {
    address: { family: 4, bytes: Uint8Array.from(address.split("."), Number) },
    length: length === undefined ? 32 : Number(length),
  };
};

const code = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (isErrno(error, (error as { code: string }).code)) return error.code;
    throw error;
  }
  return "nothing thrown";
};

/** Sends a datagram to port 7777 of 10.99.0.2, which is in `to`. */
function datagramPasses(from: LinuxNamespace, to: LinuxNamespace): boolean {
  const name = Uint8Array.of(AF.INET, 0, 7777 >> 8, 7777 & 255, 10, 99, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0);
  const [receiver, sender] = [to, from].map((space) => space.run(() => openSocket(AF.INET, SOCK.DGRAM)));
  bindSocket(receiver!.fd, name);
  sendTo(sender!.fd, Uint8Array.of(42), { to: name });
  const arrived = isReadable(receiver!.fd, 2000);
  receiver!.close();
  sender!.close();
  return arrived;
}

const mountsUnder = (folder: string): string[] =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(folder));

describe.skipIf(!privileged)("namespaces of the real machine", () => {
  let run: string;
  let net: LinuxNet;
  const home = () => readlinkSync("/proc/thread-self/ns/net");

  beforeAll(async () => {
    await reapTests();
    run = testFolder("net");
    net = openNet({ run });
  });
  afterEach(() => {
    for (const name of net.namespaces()) net.deleteNamespace(name);
  });
  afterAll(() => removeTestFolder(run));

  test("a namespace is made, listed, opened again and removed without a trace", () => {
    const before = { home: home(), descriptors: openDescriptors() };
    const made = net.createNamespace("first");
    expect(net.namespaces()).toEqual(["first"]);
    expect(made.interfaces()).toMatchObject([{ index: 1, name: "lo", up: true }]);
    expect(made.cookie).not.toBe(net.host.cookie);
    expect(net.openNamespace("first")?.cookie).toBe(made.cookie);
    expect(code(() => net.createNamespace("first"))).toBe("EEXIST");
    expect(made.interfaces()).toHaveLength(1);
    net.deleteNamespace("first");
    expect(net.openNamespace("first")).toBeNull();
    expect(net.namespaces()).toEqual([]);
    expect(mountsUnder(run)).toEqual([]);
    expect({ home: home(), descriptors: openDescriptors() }).toEqual(before);
  });

  test("a file without a namespace does not count, and its name can be used", () => {
    net.createNamespace("other");
    execFileSync("touch", [join(run, "netns", "stale")]);
    expect(net.namespaces()).toEqual(["other"]);
    expect(net.openNamespace("stale")).toBeNull();
    expect(net.createNamespace("stale").interfaces()).toHaveLength(1);
  });

  test.each(["", "..", "a/b", "a b"])("%j names no namespace", (name) => {
    expect(() => net.createNamespace(name)).toThrow(RangeError);
    expect(existsSync(join(run, "netns", name, "x"))).toBe(false);
  });

  test("a veth pair spans two namespaces, and packets pass with addresses, routes and neighbours", () => {
    const [left, right] = [net.createNamespace("left"), net.createNamespace("right")];
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 9);
    const pair = left.createVeth("up0", { namespace: right, name: "eth0", mac }, { mtu: 1400 });
    expect(pair.host).toMatchObject({ name: "up0", kind: "veth", up: false, mtu: 1400, peerIndex: pair.peer.index });
    expect(pair.peer).toMatchObject({ name: "eth0", mtu: 1400, up: false, peerIndex: pair.host.index });
    expect([...pair.peer.mac]).toEqual([...mac]);
    expect(right.interface("eth0")).toEqual(pair.peer);
    expect(right.interface("up0")).toBeNull();

    left.addAddress(pair.host.index, v4("10.99.0.1/32"));
    right.addAddress(pair.peer.index, v4("10.99.0.2/32"));
    left.setUp(pair.host.index, true);
    right.setUp(pair.peer.index, true);
    expect(left.interface("up0")?.up).toBe(true);
    left.addRoute({ destination: v4("10.99.0.2/32"), interface: pair.host.index });
    right.addRoute({ destination: v4("10.99.0.1/32"), interface: pair.peer.index, scope: "link" });
    right.addRoute({
      destination: v4("0.0.0.0/0"),
      gateway: v4("10.99.0.1").address,
      interface: pair.peer.index,
      mtu: 1300,
    });
    left.addNeighbour(pair.host.index, v4("10.99.0.2").address, pair.peer.mac);
    right.addNeighbour(pair.peer.index, v4("10.99.0.1").address, pair.host.mac);

    expect(
      right.addresses().filter((each) => each.index === pair.peer.index && each.prefix.address.family === 4),
    ).toEqual([{ index: pair.peer.index, prefix: v4("10.99.0.2/32") }]);
    expect(right.routes()).toContainEqual({
      destination: v4("0.0.0.0/0"),
      gateway: v4("10.99.0.1").address,
      interface: pair.peer.index,
      scope: "universe",
      mtu: 1300,
    });
    expect(datagramPasses(left, right)).toBe(true);
    expect(right.deleteRoute({ destination: v4("0.0.0.0/0"), interface: pair.peer.index })).toBe(true);
    expect(right.deleteRoute({ destination: v4("0.0.0.0/0"), interface: pair.peer.index })).toBe(false);
    expect(left.deleteInterface("up0")).toBe(true);
    expect(left.deleteInterface("up0")).toBe(false);
    expect(right.interface("eth0")).toBeNull();
  });

  test("refusals carry the kernel's number and words", () => {
    const space = net.createNamespace("refusals");
    expect(code(() => space.setUp(4242, true))).toBe("ENODEV");
    space.createVeth("a", { namespace: space, name: "b" });
    expect(code(() => space.createVeth("a", { namespace: space, name: "c" }))).toBe("EEXIST");
    const { index } = space.interface("a")!;
    space.addAddress(index, v4("10.1.0.1/24"));
    expect(code(() => space.addAddress(index, v4("10.1.0.1/24")))).toBe("EEXIST");
    const unreachable = { destination: v4("10.2.0.0/16"), gateway: v4("172.16.0.1").address, interface: index };
    expect(() => space.addRoute(unreachable)).toThrow(/ENETDOWN|ENETUNREACH/);
  });

  test("a sysctl is the namespace's own", () => {
    const space = net.createNamespace("sysctl");
    const before = net.host.getSysctl("net/ipv4/conf/all/rp_filter");
    space.setSysctl("net/ipv4/conf/all/rp_filter", before === "2" ? "0" : "2");
    expect(space.getSysctl("net/ipv4/conf/all/rp_filter")).toBe(before === "2" ? "0" : "2");
    expect(net.host.getSysctl("net/ipv4/conf/all/rp_filter")).toBe(before);
    expect(() => space.setSysctl("../../etc/passwd", "x")).toThrow(RangeError);
  });

  test("what a killed test left is taken away", async () => {
    // A process that ended: its number stands for the test's.
    const { pid } = spawnSync("true");
    const folder = join(tmpdir(), `skep-test-${pid}-left`);
    mkdirSync(folder);
    const left = openNet({ run: folder });
    left.createNamespace("x");
    const cgroup = openProcesses().createCgroup(`skep-test-${pid}-left`).path;
    await reapTests();
    expect([existsSync(folder), existsSync(cgroup)]).toEqual([false, false]);
    expect(mountsUnder(folder)).toEqual([]);
    expect(existsSync(run)).toBe(true);
  });

  test("the host can be another namespace", () => {
    const space = net.createNamespace("host2");
    const nested = openNet({ run, netns: space.path });
    expect(nested.host.cookie).toBe(space.cookie);
    expect(nested.host.interfaces()).toHaveLength(1);
  });
});
