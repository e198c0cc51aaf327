/**
 * @module
 * Hosts with an agent each, wired to one another and to an outside that knows their addresses and nothing behind them. Workloads' packets are
 * put on their wires; the stacks of the namespaces answer.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLinux, openPacketSocket, unmountPins } from "@skep/linux";
import type { Endpoint } from "@skep/control";
import type { Machine, Namespace } from "@skep/machine";
import { buildPacket, hostPrefix, type LayerSpec, type Mac, parsePacket, type ParsedPacket } from "@skep/net";
import { openSim, Simulation } from "@skep/sim";
import { Agent } from "../src/agent.ts";
import type { AgentOptions } from "../src/options.ts";
import { createLogger } from "../src/log.ts";
import { ip, type Port } from "./packet-lab.ts";

const PATIENCE_MS = 20_000;
const RESEND_MS = 5_000;
export const [NODE4, NODE6] = [(at: number) => `192.0.2.${at + 1}`, (at: number) => `2001:db8::${at + 1}`];
export const [OUTSIDE4, OUTSIDE6] = ["203.0.113.9", "2001:db8:cafe::9"];

/** Machines and what is needed beside their interface. */
export interface ClusterGround {
  host(name: string): { machine: Machine; pins: string; cgroup: string };
  readonly outside: Machine;
  port(machine: Machine, namespace: Namespace, index: number): Port;
  /** Lets packets go on; false where waiting longer is in vain. */
  wait(): Promise<boolean>;
  readonly folder: string;
  close(): Promise<void>;
}

export function linuxCluster(): ClusterGround {
  const folder = mkdtempSync(join(tmpdir(), "skep-cluster-"));
  const outer = openLinux({ runFolder: folder });
  const outside = openLinux({ runFolder: join(folder, "o"), netns: outer.net.createNamespace("outside").path });
  const pins: string[] = [];
  const made: { machine: ReturnType<typeof openLinux>; cgroup: string }[] = [];
  let since: number | null = null;
  return {
    ...{ outside, folder },
    host(name) {
      const machine = openLinux({ runFolder: join(folder, name), netns: outer.net.createNamespace(name).path });
      const cgroup = `skep-cluster-${process.pid}-${folder.slice(-6)}-${name}`;
      pins.push(join(folder, name, "bpf"));
      made.push({ machine, cgroup });
      return { machine, pins: join(folder, name, "bpf"), cgroup };
    },
    port(_, namespace, index) {
      const socket = outer.net.namespaceAt(namespace.path).run(() => openPacketSocket(index));
      return {
        write(frame) {
          since = null;
          if (!socket.write(frame)) throw new Error("the wire's queue is full");
        },
        read() {
          const frames: Uint8Array[] = [];
          for (let frame = socket.read(); frame; frame = socket.read())
            if (frame.direction === "in") frames.push(frame.bytes);
          return frames;
        },
        close: () => socket.close(),
      };
    },
    async wait() {
      since ??= performance.now();
      await new Promise((resolve) => setTimeout(resolve, 1));
      return performance.now() - since < PATIENCE_MS;
    },
    async close() {
      for (const pin of pins) unmountPins(pin);
      for (const { machine, cgroup } of made) {
        await machine.processes.deleteCgroup(cgroup);
        for (const name of machine.net.namespaces()) machine.net.deleteNamespace(name);
      }
      for (const name of outer.net.namespaces()) outer.net.deleteNamespace(name);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function simCluster(): ClusterGround {
  const simulation = new Simulation();
  const folder = mkdtempSync(join(tmpdir(), "skep-cluster-"));
  const networks = new Map<Machine, ReturnType<typeof openSim>["net"]>();
  const open = (runFolder: string): ReturnType<typeof openSim> => {
    const machine = openSim({ simulation, runFolder });
    networks.set(machine, machine.net);
    return machine;
  };
  let passes = 0;
  return {
    ...{ outside: open("/run/o"), folder },
    host: (name) => ({ machine: open(`/run/${name}`), pins: "/sys/fs/bpf/skep", cgroup: "skep" }),
    port(machine, namespace, index) {
      const net = networks.get(machine);
      const device = net?.namespaceOf(namespace).device(index);
      if (!net || !device) throw new Error(`no interface ${index}`);
      let frames: Uint8Array[] = [];
      device.taps.add(({ bytes, direction }) => {
        if (direction === "in") frames.push(bytes);
      });
      return {
        write(frame) {
          passes = 0;
          net.inject(device, frame);
        },
        read() {
          const read = frames;
          frames = [];
          return read;
        },
        close: () => undefined,
      };
    },
    async wait() {
      await simulation.pass(1);
      passes += 1;
      return passes < 50;
    },
    close() {
      rmSync(folder, { recursive: true, force: true });
      return Promise.resolve();
    },
  };
}

export interface ClusterPod {
  readonly host: number;
  readonly endpoint: Endpoint;
  readonly port: Port;
}

interface ClusterHost {
  readonly machine: Machine;
  readonly agent: Agent;
  readonly log: string[];
  /** The outside's end of its wire. */
  readonly outer: Port;
}

export interface ClusterOptions {
  /** Files of the watched folder that all agents share. */
  readonly documents?: Readonly<Record<string, string>>;
  readonly agent?: (at: number) => Partial<AgentOptions>;
}

export class Cluster {
  readonly hosts: ClusterHost[] = [];
  readonly #ground: ClusterGround;
  #last: (() => void) | null = null;
  readonly #ports: Port[] = [];

  constructor(ground: ClusterGround, count: number, options: ClusterOptions = {}) {
    this.#ground = ground;
    const documents = join(ground.folder, "documents");
    mkdirSync(documents, { recursive: true });
    for (const [name, text] of Object.entries(options.documents ?? {})) writeFileSync(join(documents, name), text);
    const { outside } = ground;
    forward(outside.net.host);
    addAddresses(outside.net.host, 1, [OUTSIDE4, OUTSIDE6]);
    const machines = Array.from({ length: count }, (_, at) => ground.host(`h${at}`));
    const outer = machines.map(({ machine }, at) => this.#wireOut(machine, at));
    for (const [at, { machine }] of machines.entries())
      for (let other = 0; other < at; other++)
        wireUp(machine, at, { machine: machines[other]?.machine ?? machine, at: other });
    for (const [at, { machine, pins, cgroup }] of machines.entries()) {
      const log: string[] = [];
      const agent = new Agent({
        ...{ machine, directory: documents, run: join(ground.folder, `h${at}`), pins, cgroup },
        ...{ state: join(ground.folder, `h${at}`, "state"), nodeName: `h${at}`, watch: false },
        ...{ podCidr: `10.${at + 1}.0.0/24`, podCidr6: `fd00:${at + 1}::/112`, serviceCidr: "10.96.0.0/24" },
        log: createLogger({ write: (line) => void log.push(line), now: () => 0, format: "text" }),
        ...options.agent?.(at),
      });
      this.hosts.push({ machine, agent, log, outer: outer[at] ?? this.#missing() });
    }
  }

  #missing(): never {
    throw new Error("a host without a wire");
  }

  #wireOut(machine: Machine, at: number): Port {
    const { outside } = this.#ground;
    forward(machine.net.host);
    const { host, peer } = machine.net.host.createVeth("out0", { namespace: outside.net.host, name: `h${at}` });
    quiet(machine.net.host, "out0");
    quiet(outside.net.host, `h${at}`);
    machine.net.host.setUp(host.index, true);
    outside.net.host.setUp(peer.index, true);
    addAddresses(machine.net.host, host.index, [NODE4(at), NODE6(at)]);
    for (const [node, out, any] of [
      [NODE4(at), OUTSIDE4, "0.0.0.0"],
      [NODE6(at), OUTSIDE6, "::"],
    ] as const) {
      machine.net.host.addNeighbour(host.index, ip(out), peer.mac);
      machine.net.host.addRoute({ destination: hostPrefix(ip(out)), interface: host.index, scope: "link" });
      machine.net.host.addRoute({
        destination: { address: ip(any), length: 0 },
        gateway: ip(out),
        interface: host.index,
      });
      outside.net.host.addNeighbour(peer.index, ip(node), host.mac);
      outside.net.host.addRoute({ destination: hostPrefix(ip(node)), interface: peer.index, scope: "link" });
    }
    return this.#open(outside, outside.net.host, peer.index);
  }

  #open(machine: Machine, namespace: Namespace, index: number): Port {
    const port = this.#ground.port(machine, namespace, index);
    this.#ports.push(port);
    return port;
  }

  addPod(at: number, name: string, over: Partial<Parameters<Agent["createEndpoint"]>[0]> = {}): ClusterPod {
    const { machine, agent } = this.#host(at);
    const { endpoint, record } = agent.createEndpoint({ namespace: "default", name, labels: { app: name }, ...over });
    const namespace = machine.net.openNamespace(record.netns);
    const eth0 = namespace?.interface("eth0");
    if (!namespace || !eth0) throw new Error(`the namespace ${record.netns} is gone`);
    return { host: at, endpoint, port: this.#open(machine, namespace, eth0.index) };
  }

  #host(at: number): ClusterHost {
    return this.hosts[at] ?? this.#missing();
  }

  /** Puts the packet on the workload's wire. */
  send(pod: ClusterPod, ...layers: readonly LayerSpec[]): void {
    const { mac, hostMac } = pod.endpoint;
    this.#write(pod.port, buildPacket([{ kind: "ethernet", source: mac, destination: hostMac }, ...layers]));
  }

  /** Sends the packet in from the outside, as its router. */
  sendIn(at: number, ...layers: readonly LayerSpec[]): void {
    const { machine, outer } = this.#host(at);
    const destination = machine.net.host.interface("out0")?.mac ?? this.#missing();
    this.#write(outer, buildPacket([{ kind: "ethernet", source: this.outerMac(at), destination }, ...layers]));
  }

  #write(port: Port, frame: Uint8Array): void {
    this.#last = () => port.write(frame);
    this.#last();
  }

  /** Of the outside's end of the host's wire. */
  outerMac(at: number): Mac {
    return this.#ground.outside.net.host.interface(`h${at}`)?.mac ?? this.#missing();
  }

  /**
   * The first packet that arrives and is the wanted one; null where none comes. What was sent last is sent once more when it takes long: the first
   * packet may meet a neighbour that is not yet found.
   */
  async arrival(port: Port, isWanted: (packet: ParsedPacket) => boolean): Promise<ParsedPacket | null> {
    const resend = performance.now() + RESEND_MS;
    for (let isMore = true; ; isMore = await this.#ground.wait()) {
      if (this.#last && performance.now() > resend) {
        console.warn(`nothing has arrived for ${RESEND_MS} ms: the last packet is sent once more`);
        this.#last();
        this.#last = null;
      }
      for (const frame of port.read()) {
        const packet = parsePacket(frame);
        if (isWanted(packet)) return packet;
      }
      if (!isMore) return null;
    }
  }

  /** An interface of a host, to look at what arrives there. */
  openHost(at: number, name: string): Port {
    const { machine } = this.#host(at);
    const found = machine.net.host.interface(name);
    if (!found) throw new Error(`no interface ${name}`);
    return this.#open(machine, machine.net.host, found.index);
  }

  /** Lets packets go on until it is so, or waiting longer is in vain. */
  async quiet(isSo: () => boolean): Promise<void> {
    while (!isSo() && (await this.#ground.wait()));
  }

  async close(): Promise<void> {
    for (const port of this.#ports) port.close();
    for (const { agent } of this.hosts) {
      for (const { endpoint } of agent.endpoints()) await agent.removeEndpoint(endpoint);
      agent.datapath.destroy();
      agent.close();
    }
    await this.#ground.close();
  }
}

function quiet(host: Namespace, name: string): void {
  for (const [key, value] of Object.entries({ accept_dad: "0", accept_ra: "0", addr_gen_mode: "1" }))
    host.setSysctl(`net/ipv6/conf/${name}/${key}`, value);
}

function forward(host: Namespace): void {
  host.setSysctl("net/ipv4/ip_forward", "1");
  host.setSysctl("net/ipv6/conf/all/forwarding", "1");
  for (const scope of ["all", "default"]) host.setSysctl(`net/ipv4/conf/${scope}/rp_filter`, "0");
}

function addAddresses(host: Namespace, index: number, addresses: readonly string[]): void {
  for (const address of addresses) host.addAddress(index, hostPrefix(ip(address)));
}

/** A wire between two hosts, with nothing but each other on it. */
function wireUp(machine: Machine, at: number, other: { machine: Machine; at: number }): void {
  const { host, peer } = machine.net.host.createVeth(`n${other.at}`, {
    namespace: other.machine.net.host,
    name: `n${at}`,
  });
  quiet(machine.net.host, `n${other.at}`);
  quiet(other.machine.net.host, `n${at}`);
  for (const [near, end, far] of [
    [{ machine, at }, host, { mac: peer.mac, at: other.at }],
    [other, peer, { mac: host.mac, at }],
  ] as const) {
    const { host: namespace } = near.machine.net;
    namespace.setUp(end.index, true);
    for (const address of [NODE4, NODE6]) {
      const source = ip(address(near.at));
      namespace.addNeighbour(end.index, ip(address(far.at)), far.mac);
      namespace.addRoute({ destination: hostPrefix(ip(address(far.at))), interface: end.index, scope: "link", source });
    }
  }
}
