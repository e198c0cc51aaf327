/**
 * @module
 * The network half of a simulated machine: its namespaces, and how a frame goes past the programs at an interface's hooks.
 */
import type { Namespace, NetMachine } from "@skep/machine";
import type { Mac } from "@skep/net";
import type { Host, KernelObject, Redirect, RunResult, TunnelKey } from "@skep/vm";
import type { SimBpf } from "../bpf/machine.ts";
import type { LinkObject } from "../bpf/objects.ts";
import { SimError } from "../error.ts";
import type { Simulation } from "../simulation.ts";
import { contextOf, readMarks } from "./context.ts";
import type { Device } from "./device.ts";
import { fibLookup } from "./fib.ts";
import { SimNamespace } from "./namespace.ts";
import { NO_MARKS, packetOf, type Packet } from "./packet.ts";
import type { Sock } from "./sock.ts";
import { redirectXdp, XDP, xdpContext, type XdpPaths } from "./xdp.ts";
import { encapsulate } from "./tunnel.ts";

/** include/uapi/linux/bpf.h: enum tcx_action_base. */
const TC = { next: -1, ok: 0, shot: 2, redirect: 7 } as const;
/** BPF_F_INGRESS */
const TO_INGRESS = 1n;
/** XMIT_RECURSION_LIMIT, net/core/dev.h: a frame that is sent in circles. */
const MAX_HOPS = 64;
/** TCA_FQ_HORIZON: ten seconds. */
const HORIZON = 10_000_000_000n;

interface TcRun {
  readonly packet: Packet;
  readonly link: LinkObject;
  /** As the program leaves it. */
  readonly tunnel: { key: TunnelKey | null };
}

export interface Counters {
  /** Frames that a program dropped, and those that the stack or a wire dropped. */
  programDrops: number;
  otherDrops: number;
}

export class SimNetwork implements NetMachine {
  readonly host: SimNamespace;
  readonly simulation: Simulation;
  readonly counters: Counters = { programDrops: 0, otherDrops: 0 };
  /** Whose socket a kernel object is. */
  readonly sockets = new Map<KernelObject, Sock>();
  readonly descriptors = new Map<number, Sock>();
  readonly #namespaces = new Map<string, SimNamespace>();
  readonly #run: string;
  #bpf: SimBpf | null = null;
  #lastIndex = 1;
  #lastCookie = 0n;
  #lastSocket = 0n;

  constructor(simulation: Simulation, run: string) {
    this.simulation = simulation;
    this.#run = run;
    this.host = this.#make("host");
  }

  /** The programs' machine is made after the network that it hooks into. */
  join(bpf: SimBpf): void {
    this.#bpf = bpf;
  }

  get bpf(): SimBpf {
    if (!this.#bpf) throw new Error("the network has no machine yet");
    return this.#bpf;
  }

  #make(name: string): SimNamespace {
    this.#lastCookie += 1n;
    return new SimNamespace(this, { name, path: `${this.#run}/netns/${name}`, cookie: this.#lastCookie });
  }

  // ---- namespaces ----

  createNamespace(name: string): SimNamespace {
    if (!/^[^\s/]+$/.test(name) || name === "." || name === "..")
      throw new RangeError(`${JSON.stringify(name)} names no namespace`);
    if (this.#namespaces.has(name)) throw new SimError("EEXIST", `namespace ${name}`);
    const made = this.#make(name);
    this.#namespaces.set(name, made);
    return made;
  }

  openNamespace(name: string): SimNamespace | null {
    if (!/^[^\s/]+$/.test(name)) throw new RangeError(`${JSON.stringify(name)} names no namespace`);
    return this.#namespaces.get(name) ?? null;
  }

  deleteNamespace(name: string): void {
    const found = this.#namespaces.get(name);
    if (!found) throw new SimError("ENOENT", `namespace ${name}`);
    this.#namespaces.delete(name);
    found.close();
  }

  namespaces(): string[] {
    return [...this.#namespaces.keys()].sort();
  }

  namespaceOf(handle: Namespace): SimNamespace {
    if (!(handle instanceof SimNamespace)) throw new SimError("EINVAL", "a namespace of another machine");
    return handle;
  }

  /** By the path of its file. Default: the host's. */
  namespaceAt(path: string | undefined): SimNamespace | null {
    if (path === undefined || path === this.host.path) return this.host;
    return [...this.#namespaces.values()].find((each) => each.path === path) ?? null;
  }

  nextIndex(): number {
    this.#lastIndex += 1;
    return this.#lastIndex;
  }

  /** SO_COOKIE of the next socket. */
  nextCookie(): bigint {
    this.#lastSocket += 1n;
    return this.#lastSocket;
  }

  /** Locally administered, one address each. */
  randomMac(): Mac {
    const [high, low] = [this.simulation.random.next(), this.simulation.random.next()];
    const bytes = Uint8Array.of(0, high, high >>> 8, high >>> 16, low, low >>> 8);
    bytes[0] = ((high >>> 24) & 0xfc) | 0x02;
    return bytes;
  }

  // ---- frames ----

  #seen(device: Device, frame: Uint8Array, direction: "in" | "out"): void {
    const at = this.simulation.clock.monotonic();
    for (const tap of device.taps) tap({ bytes: frame.slice(), direction, at });
  }

  #lose(): void {
    this.counters.otherDrops += 1;
  }

  /** Puts a frame on the device's wire, as a socket of its namespace does. */
  inject(device: Device, frame: Uint8Array): void {
    this.transmit(device, packetOf(frame));
  }

  /** A frame leaves by the device: its egress programs, then the wire (net/core/dev.c: __dev_queue_xmit). */
  transmit(device: Device, packet: Packet): void {
    if (!device.up || packet.hops > MAX_HOPS) {
      this.#lose();
      return;
    }
    const passed = this.#pass(device, "egress", packet);
    if (passed) this.#wire(device, passed);
  }

  #wire(device: Device, packet: Packet): void {
    const { departure = 0n } = packet.marks;
    const { clock } = this.simulation;
    if (device.queue === "fq" && departure > clock.monotonic()) {
      // What is to leave behind the horizon does not leave (sch_fq: horizon_drop).
      if (departure > clock.monotonic() + HORIZON) this.#lose();
      else clock.at(departure, () => device.up && this.#send(device, packet));
    } else this.#send(device, packet);
  }

  #send(device: Device, packet: Packet): void {
    this.#seen(device, packet.frame, "out");
    if (device.kind === "loopback") {
      this.simulation.clock.after(0, () => this.receive(device, packet));
      return;
    }
    if (device.tunnelPort !== null) {
      if (!encapsulate(device, packet)) this.#lose();
      return;
    }
    const { peer, quality } = device;
    if (device.netkit) {
      if (peer?.up && packet.frame.length <= device.mtu + 18) this.#netkit(device, peer, packet);
      else this.#lose();
      return;
    }
    const { delay = 0, loss = 0 } = quality;
    // Chance is asked only where there is any: a wire without loss does not change what follows.
    if (!peer?.up || packet.frame.length > device.mtu + 18 || (loss > 0 && this.simulation.random.fraction() < loss)) {
      this.#lose();
      return;
    }
    // skb_scrub_packet: what a namespace marked stays in it.
    const scrubbed =
      peer.namespace === device.namespace ? packet : { ...packet, marks: NO_MARKS, sock: null, tunnel: null };
    this.simulation.clock.after(
      delay,
      () => peer.up && peer.namespace.network.receive(peer, { ...scrubbed, hops: packet.hops + 1 }),
    );
  }

  /** Programs see the packet as the other end's, and what no program has taken is received there (drivers/net/netkit.c: netkit_xmit). */
  #netkit(device: Device, peer: Device, packet: Packet): void {
    const scrubbed =
      peer.namespace === device.namespace ? packet : { ...packet, marks: NO_MARKS, sock: null, tunnel: null };
    const { network } = peer.namespace;
    const judged = network.#judge(device, peer, { ...scrubbed, hops: packet.hops + 1 });
    if (judged) this.simulation.clock.after(0, () => peer.up && network.receive(peer, judged));
  }

  #judge(device: Device, peer: Device, packet: Packet): Packet | null {
    const { list, policy } = device.netkit ?? { list: null, policy: "drop" as const };
    let now = packet;
    let verdict: number = policy === "pass" ? TC.ok : TC.shot;
    for (const link of [...(list?.links ?? [])]) {
      const tunnel = { key: now.tunnel ?? null };
      const result = this.#runTc(peer, "egress", { packet: now, link, tunnel });
      now = { ...now, frame: result.packet, marks: readMarks(result.context), tunnel: tunnel.key };
      for (const clone of result.clones) this.#redirect(peer, clone, { ...now, frame: clone.packet });
      verdict = result.returned | 0;
      if (verdict === TC.next) continue;
      if (verdict === TC.redirect && result.redirect) {
        // Not at ingress: no way past the device's own hooks (net/core/filter.c: skb_do_redirect).
        if (result.redirect.helper === "redirect_peer") this.#lose();
        else this.#redirect(peer, result.redirect, now);
        return null;
      }
      break;
    }
    if (verdict === TC.next || verdict === TC.ok) return now;
    this.counters.programDrops += 1;
    return null;
  }

  /** A frame arrives: XDP, whoever listens, the ingress programs, the stack (net/core/dev.c: __netif_receive_skb_core). */
  receive(device: Device, packet: Packet): void {
    const behind = device.xdp.link ? this.#xdp(device, packet) : packet;
    if (behind) this.#enter(device, behind);
  }

  #enter(device: Device, packet: Packet): void {
    this.#seen(device, packet.frame, "in");
    const passed = this.#pass(device, "ingress", packet);
    if (passed) device.namespace.stack.receive(device, passed);
  }

  /** What is left of the packet behind the hook's programs; null where they took it. */
  #pass(device: Device, direction: "ingress" | "egress", packet: Packet): Packet | null {
    let now = packet;
    for (const link of [...device.tcx[direction].links]) {
      const tunnel = { key: now.tunnel ?? null };
      const result = this.#runTc(device, direction, { packet: now, link, tunnel });
      now = { ...now, frame: result.packet, marks: readMarks(result.context), tunnel: tunnel.key };
      const verdict = result.returned | 0;
      for (const clone of result.clones) this.#redirect(device, clone, { ...now, frame: clone.packet });
      if (verdict === TC.next) continue;
      if (verdict === TC.redirect && result.redirect) this.#redirect(device, result.redirect, now);
      else if (verdict === TC.ok) return now;
      else if (verdict === TC.shot) this.counters.programDrops += 1;
      // tcx takes every other answer for "next" (net/core/dev.c: tcx_action_code).
      else continue;
      return null;
    }
    return now;
  }

  /** What every program may ask in a namespace. */
  hostOf(namespace: SimNamespace): Host {
    return {
      netnsCookie: namespace.cookie,
      mtu: (index) => namespace.device(index)?.mtu ?? null,
      fibLookup: (query) => fibLookup(namespace, query),
      socketCookie: (object) => (object && this.sockets.get(object)?.cookie) ?? 0n,
    };
  }

  #runTc(device: Device, direction: "ingress" | "egress", of: TcRun): RunResult {
    const { packet, link, tunnel } = of;
    const context = contextOf(device, { direction, frame: packet.frame, marks: packet.marks });
    return this.bpf.run(link.program.program, {
      packet: packet.frame,
      context,
      host: {
        ...(packet.sock?.host() ?? this.hostOf(device.namespace)),
        tunnelKey: {
          get: () => tunnel.key,
          set: (key) => {
            tunnel.key = key;
            return 0;
          },
        },
      },
    });
  }

  #redirect(device: Device, redirect: Redirect, packet: Packet): void {
    const target = device.namespace.device(redirect.target);
    if (!target) {
      this.#lose();
      return;
    }
    const next = { ...packet, hops: packet.hops + 1 };
    if (redirect.helper === "redirect_peer") {
      // Straight to the far end's own receive path, past the wire and its egress hook (net/core/filter.c: skb_do_redirect).
      if (!target.peer?.up) this.#lose();
      else {
        this.#seen(target.peer, next.frame, "in");
        const passed = this.#pass(target.peer, "ingress", { ...next, marks: NO_MARKS, sock: null, tunnel: null });
        if (passed) target.peer.namespace.stack.receive(target.peer, passed);
      }
    } else if (redirect.helper === "redirect_neigh") device.namespace.stack.sendVia(target, next, redirect.neighbour);
    else if ((redirect.flags & TO_INGRESS) !== 0n) this.simulation.clock.after(0, () => this.receive(target, next));
    else this.transmit(target, next);
  }

  #xdpPaths(device: Device): XdpPaths {
    return {
      device,
      send: (target, packet) => this.#wire(target, packet),
      lose: () => this.#lose(),
      drop: () => {
        this.counters.programDrops += 1;
      },
      run: (id, packet, egress) => {
        const program = this.bpf.programById(id);
        if (!program) return null;
        const {
          returned,
          redirect,
          packet: frame,
        } = this.bpf.run(program, {
          packet: packet.frame,
          context: xdpContext(device.index, egress),
          host: this.hostOf(device.namespace),
        });
        return { returned, redirect, packet: { ...packet, frame } };
      },
      // On another CPU it is no frame of XDP any more (kernel/bpf/cpumap.c: cpu_map_kthread_run).
      toStack: (packet) => this.simulation.clock.after(0, () => device.up && this.#enter(device, packet)),
    };
  }

  #xdp(device: Device, packet: Packet): Packet | null {
    const program = device.xdp.link?.program.program;
    if (!program) return packet;
    const context = xdpContext(device.index);
    const result = this.bpf.run(program, {
      packet: packet.frame,
      context,
      host: this.hostOf(device.namespace),
    });
    const behind = { ...packet, frame: result.packet, hops: packet.hops + 1 };
    switch (result.returned) {
      case XDP.pass:
        return behind;
      case XDP.tx:
        this.#wire(device, behind);
        return null;
      case XDP.redirect:
        if (result.redirect) redirectXdp(this.#xdpPaths(device), result.redirect, behind);
        else this.#lose();
        return null;
      default:
        this.counters.programDrops += 1;
        return null;
    }
  }
}
