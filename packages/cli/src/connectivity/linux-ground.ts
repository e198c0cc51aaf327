/**
 * @module
 * The ground in the kernel: namespaces of its own around a host namespace of its own, actors are processes in them.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import type { Endpoint } from "@skep/control";
import { type LinuxMachine, openLinux, openPacketSocket, spawnWorkload, unmountPins } from "@skep/linux";
import { type CapturedPacket, buildPacket, formatAddress, linkTypes, parsePacket, writePcapng } from "@skep/net";
import { endChild, Pilot, sleep, until, workload } from "../demo/stage.ts";
import { addressOf, AgentGround, isServer, must, wireOutside } from "./agent-ground.ts";
import {
  type Actor,
  CAST,
  EXTERNAL,
  EXTERNAL6,
  EXTERNAL6_OTHER,
  EXTERNAL_OTHER,
  type Ground,
  NODE,
  NODE6,
} from "./ground.ts";

const START_MS = 10_000;
const ASK_MS = 5;
const LISTEN_MS = 10;

/** What is opened first is closed last, also where opening fails half-way. */
class Closers {
  readonly #closers: (() => unknown)[] = [];

  add(close: () => unknown): void {
    this.#closers.unshift(close);
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0)) await close();
  }
}

interface Seat {
  readonly name: string;
  readonly address: string;
  readonly address6: string;
  readonly netnsPath: string;
  readonly cgroupPath: string;
  readonly serves: boolean;
}

async function seatActor(seat: Seat, closers: Closers): Promise<Pilot> {
  const { name, netnsPath, cgroupPath, serves } = seat;
  const child = spawnWorkload({
    ...{ command: process.execPath, args: [workload(), serves ? "both" : "pilot", name], netnsPath, cgroupPath },
    stdio: ["pipe", "pipe", "inherit"],
  });
  closers.add(() => endChild(child));
  const pilot = new Pilot(name, child);
  const isUp = await until(START_MS, async () => {
    if (child.exitCode !== null) throw new Error(`${name} ended with status ${child.exitCode}`);
    if (!serves) return pilot.order("streamed", "");
    const answer = await pilot.order("request", "127.0.0.1", { timeout: 300 });
    return answer.ok ? answer : null;
  });
  if (isUp === null) throw new Error(`${name} does not start`);
  return pilot;
}

let lastEcho = 0;

/** An echo request on the workload's own interface, through a packet socket: no command of the machine is needed. */
async function ping(
  machine: LinuxMachine,
  endpoint: Endpoint,
  of: { netns: string; host: string; timeout: number },
): Promise<boolean> {
  const namespace = must(machine.net.openNamespace(of.netns), of.netns);
  const index = must(namespace.interface("eth0"), "eth0").index;
  const socket = machine.net.namespaceAt(namespace.path).run(() => openPacketSocket(index));
  const rest = (++lastEcho << 16) | 1;
  try {
    socket.write(
      buildPacket([
        { kind: "ethernet", source: endpoint.mac, destination: endpoint.hostMac },
        { kind: "ipv4", source: endpoint.address, destination: addressOf(of.host) },
        { kind: "icmp", type: 8, code: 0, rest: rest >>> 0 },
        { kind: "payload", bytes: new Uint8Array(32) },
      ]),
    );
    for (const end = performance.now() + of.timeout; performance.now() < end; await sleep(ASK_MS)) {
      for (let frame = socket.read(); frame; frame = socket.read()) {
        const echo = parsePacket(frame.bytes).layers.find((layer) => layer.kind === "icmp");
        if (frame.direction === "in" && echo?.kind === "icmp" && echo.type === 0 && echo.rest === rest >>> 0)
          return true;
      }
    }
    return false;
  } finally {
    socket.close();
  }
}

/** The frames of every interface but the loopback. */
function listen(machine: LinuxMachine, paths: readonly string[]): () => Uint8Array {
  const packets: CapturedPacket[] = [];
  const taps = paths.flatMap((path) => {
    const namespace = machine.net.namespaceAt(path);
    const devices = namespace.interfaces().filter(({ kind }) => kind === "veth");
    return devices.map(({ index, name }) => ({
      face: { linkType: linkTypes.ethernet, snapLength: 0, name: `${basename(path)}/${name}` },
      socket: namespace.run(() => openPacketSocket(index, { timestamps: true })),
    }));
  });
  const drain = (): void => {
    for (const [interfaceIndex, { socket }] of taps.entries())
      for (let frame = socket.read(); frame; frame = socket.read()) {
        const { bytes: data, time: timestamp = 0n } = frame;
        const direction = frame.direction === "in" ? "inbound" : "outbound";
        packets.push({ timestamp, data, originalLength: data.length, interfaceIndex, direction });
      }
  };
  const timer = setInterval(drain, LISTEN_MS);
  return () => {
    clearInterval(timer);
    drain();
    for (const { socket } of taps) socket.close();
    packets.sort((one, other) => Number(one.timestamp - other.timestamp));
    return writePcapng(
      packets,
      taps.map(({ face }) => face),
    );
  };
}

export async function openLinuxGround(): Promise<Ground> {
  const closers = new Closers();
  try {
    return await open(closers);
  } catch (error) {
    await closers.close();
    throw error;
  }
}

async function open(closers: Closers): Promise<Ground> {
  const folder = mkdtempSync(join(tmpdir(), "skep-connectivity-"));
  closers.add(() => rmSync(folder, { recursive: true, force: true }));
  const outer = openLinux({ runFolder: folder });
  closers.add(() => outer.net.namespaces().forEach((name) => outer.net.deleteNamespace(name)));
  const machine = openLinux({ runFolder: folder, netns: outer.net.createNamespace("host").path });
  const outside = outer.net.createNamespace("outside");
  const pins = join(folder, "bpf");
  const cgroup = `skep-${folder.slice(folder.lastIndexOf("/") + 1)}`;
  closers.add(() => machine.processes.deleteCgroup(cgroup));
  closers.add(() => unmountPins(pins));
  wireOutside(machine.net.host, outside);
  const ground = new AgentGround(machine, { pins, cgroup });
  closers.add(() => ground.close());
  const actors = new Map<string, Actor>();
  const seats: [Seat, Actor["ping"]][] = CAST.map((member) => {
    const { endpoint, record } = ground.join(member);
    const { agent } = ground;
    return [
      {
        ...{ name: member.name, address: formatAddress(endpoint.address), serves: isServer(member) },
        address6: formatAddress(must(endpoint.address6, member.name)),
        ...{ netnsPath: agent.netnsPath(record), cgroupPath: agent.cgroupPath(record) },
      },
      (host, timeout) => ping(machine, endpoint, { netns: record.netns, host, timeout }),
    ];
  });
  // Beside the cgroup whose sockets are balanced: these are no workloads.
  const apart = machine.processes.createCgroup(`${cgroup}-apart`).path;
  closers.add(() => machine.processes.deleteCgroup(`${cgroup}-apart`));
  for (const [name, address, address6, netnsPath] of [
    ["host", NODE, NODE6, machine.net.host.path],
    ["external", EXTERNAL, EXTERNAL6, outside.path],
  ] as const)
    seats.push([{ ...{ name, address, address6, netnsPath }, cgroupPath: apart, serves: true }, null]);
  const pilots = await Promise.all(seats.map(([seat]) => seatActor(seat, closers)));
  seats.forEach(([{ name, address, address6 }, echo], at) => {
    const pilot = must(pilots[at], name);
    const request: Actor["request"] = (host, options) => pilot.order("request", host, options);
    const datagram: Actor["datagram"] = (host, options) => pilot.order("datagram", host, options);
    actors.set(name, { name, address, address6, request, datagram, ping: echo });
  });
  // The second outside address is the same process, which asks from there.
  const external = must(actors.get("external"), "external");
  const from = EXTERNAL_OTHER;
  const fromTo = (host: string): string => (host.includes(":") ? EXTERNAL6_OTHER : from);
  const pilot = must(pilots.at(-1), "external");
  actors.set("external-other", {
    ...{ ...external, name: "external-other", address: from, address6: EXTERNAL6_OTHER },
    request: (host, options) => pilot.order("request", host, { ...options, from: fromTo(host) }),
    datagram: (host, options) => pilot.order("datagram", host, { ...options, from: fromTo(host) }),
  });
  return {
    machine: "linux",
    actor: (name) => must(actors.get(name), name),
    setPolicies: (texts) => ground.setPolicies(texts),
    takeDrops: () => ground.takeDrops(),
    connections: () => ground.connections(),
    forwarded: () => ground.forwarded(),
    errors: ground.errors,
    restartAgent: () => ground.restartAgent(),
    capture: () => listen(machine, [...new Set([machine.net.host.path, ...seats.map(([seat]) => seat.netnsPath)])]),
    patience: 400,
    longest: { 4: Infinity, 6: Infinity, udp: Infinity },
    sleep,
    run: (play) => play,
    close: () => closers.close(),
  };
}
