/**
 * @module
 * A packet's way from hook to hook. What lies between them (routes, addresses, neighbours) is read from the host and followed as the kernel
 * would; what the programs do, they do themselves.
 */
import { datapathTables, dropReasonText } from "@skep/datapath";
import type { Interface, Machine, Namespace, Route } from "@skep/machine";
import { type Address, formatAddress, type Mac, parseAddress, parseMac, prefixContains, ipProtocols } from "@skep/net";
import { CliError } from "../errors.ts";
import {
  connectContext,
  connectedTo,
  type HookName,
  type Hooks,
  markOf,
  readHooks,
  skbContext,
  xdpContext,
} from "./hooks.ts";
import { frameOf, packetText, type TracedPacket } from "./packet.ts";
import { type Ran, Tracer, type TraceStep } from "./tracer.ts";

/** One hook, or the stack between two. */
export interface Stage {
  /** `tcx ingress of skep1`, `connect`, `routing`. */
  readonly hook: string;
  readonly program: string;
  readonly steps: readonly TraceStep[];
  readonly verdict: string;
  /** The packet behind it. */
  readonly packet: string;
}

/** What became of the packet. */
export interface Outcome {
  readonly verdict: "delivered" | "dropped" | "sent" | "host";
  readonly text: string;
  /** Drop code; 0 where it was not dropped, or without one. */
  readonly reason: number;
}

export interface Trace {
  readonly packet: string;
  readonly stages: readonly Stage[];
  readonly outcome: Outcome;
}

/** Where a packet begins. */
export type Origin =
  | { readonly kind: "workload"; readonly row: EndpointRow }
  | { readonly kind: "host" }
  | { readonly kind: "outside"; readonly device: Interface };

export interface EndpointRow {
  readonly id: number;
  readonly identity: number;
  readonly addresses: readonly string[];
  readonly ifindex: number;
  readonly mac: Mac;
  readonly hostMac: Mac;
}

const TC = { ok: 0, shot: 2, redirect: 7, next: 0xffff_ffff } as const;
const XDP = { drop: 1, pass: 2, tx: 3, redirect: 4 } as const;
const INGRESS = 1n;
/** Of an event. */
const DROP = 1;
/** Hooks that one packet may meet before it goes round in a ring. */
const MOST_HOOKS = 16;
const NOBODY: Mac = new Uint8Array(6);

interface Going {
  readonly frame: Uint8Array;
  readonly mark: number;
}

type Next = { readonly done: Outcome } | { readonly go: () => Next };

const done = (verdict: Outcome["verdict"], text: string, reason = 0): Next => ({ done: { verdict, text, reason } });

export class Walk {
  readonly #machine: Machine;
  readonly #tracer: Tracer;
  readonly #hooks: Hooks;
  readonly #host: Namespace;
  readonly #interfaces: readonly Interface[];
  readonly #endpoints: readonly EndpointRow[];
  #stages: Stage[] = [];
  /** The last frame, and where it ended. */
  #frame: Uint8Array = new Uint8Array(0);
  #end: Origin | null = null;

  /** Throws CliError where no datapath is in force. */
  constructor(machine: Machine, pins: string) {
    this.#machine = machine;
    this.#tracer = new Tracer(machine, pins);
    this.#hooks = readHooks(machine.bpf, pins);
    this.#host = machine.net.host;
    this.#interfaces = this.#host.interfaces();
    this.#endpoints = readEndpoints(machine, pins);
  }

  get endpoints(): readonly EndpointRow[] {
    return this.#endpoints;
  }

  /** The packet as it was when it came to its end, and who has it then: nobody where it was dropped. */
  get end(): { readonly frame: Uint8Array; readonly at: Origin | null } {
    return { frame: this.#frame, at: this.#end };
  }

  /** Who sends from this address. Throws CliError where no route leads there. */
  originOf(address: Address, interfaceName?: string): Origin {
    const text = formatAddress(address);
    const row = this.#endpoints.find(({ addresses, ifindex }) => ifindex !== 0 && addresses.includes(text));
    if (row) return { kind: "workload", row };
    if (this.#isHosts(address)) return { kind: "host" };
    const route = this.#routeTo(address);
    const found = interfaceName === undefined ? this.#interface(route?.interface) : this.#named(interfaceName);
    if (!found)
      throw new CliError(`no route leads to ${text}: say by which interface its packet comes in (--interface)`);
    return { kind: "outside", device: found };
  }

  /** `socket`: a workload connects first, so that a service may be translated where Cilium and Skep do it. */
  trace(packet: TracedPacket, from: Origin, options: { readonly socket: boolean; readonly mark: number }): Trace {
    this.#stages = [];
    this.#end = null;
    const sent = options.socket && from.kind !== "outside" ? this.#connect(packet, from) : packet;
    const text = packetText(frameOf(packet, this.#macsOf({ kind: "host" })));
    if (!sent)
      return {
        packet: text,
        stages: this.#stages,
        outcome: { verdict: "dropped", text: "connect fails: EPERM", reason: 0 },
      };
    const macs =
      from.kind === "workload" ? { source: from.row.mac, destination: from.row.hostMac } : this.#macsOf(from);
    const going = { frame: frameOf(sent, macs), mark: options.mark };
    let next = this.#begin(going, from);
    for (let hooks = 0; "go" in next; hooks++) {
      if (hooks === MOST_HOOKS) throw new CliError("the packet goes round in a ring of redirects");
      next = next.go();
    }
    return { packet: text, stages: this.#stages, outcome: next.done };
  }

  close(): void {
    this.#tracer.close();
  }

  // ---- the ends ----

  #macsOf(from: Origin): { source: Mac; destination: Mac } {
    return { source: NOBODY, destination: from.kind === "outside" ? from.device.mac : NOBODY };
  }

  #begin(going: Going, from: Origin): Next {
    if (from.kind === "workload") return this.#into(going, from.row.ifindex);
    if (from.kind === "host") return this.#route(going, true);
    return this.#into(going, from.device.index);
  }

  /** The packet that a socket sends in the end; null where it may not connect. */
  #connect(packet: TracedPacket, from: Origin): TracedPacket | null {
    const { protocol, destination, port } = packet;
    const program = `skep_connect${destination.family}`;
    if ((protocol !== "tcp" && protocol !== "udp") || packet.flags !== "S" || !this.#hooks.socket(program))
      return packet;
    const context = connectContext({
      ...{ address: destination, port, protocol: ipProtocols[protocol], stream: protocol === "tcp" },
    });
    const netnsCookie = from.kind === "workload" ? this.#cookieOf(from.row) : this.#host.cookie;
    const ran = this.#tracer.run(program, {
      context,
      host: { netnsCookie, socketCookie: () => 0xffff_ffff_ffff_fff0n },
    });
    const to = connectedTo(ran.context, destination.family);
    const changed = { ...packet, destination: to.address, port: to.port };
    const text = ran.returned === 0 ? "refused: EPERM" : "connect";
    this.#note("connect", { program, ran, verdict: text, frame: frameOf(changed, this.#macsOf({ kind: "host" })) });
    return ran.returned === 0 ? null : changed;
  }

  /** SO_NETNS_COOKIE of the namespace at the other end of a workload's wire. */
  #cookieOf(row: EndpointRow): bigint {
    const { net } = this.#machine;
    for (const name of net.namespaces()) {
      const namespace = net.openNamespace(name);
      const own = namespace?.addresses().map(({ prefix }) => formatAddress(prefix.address));
      if (namespace && own?.some((address) => row.addresses.includes(address))) return namespace.cookie;
    }
    return 0n;
  }

  // ---- hooks ----

  #note(hook: string, of: { program: string; ran?: Ran; verdict: string; frame: Uint8Array }): void {
    const { program, ran, verdict, frame } = of;
    this.#stages.push({ hook, program, steps: ran?.steps ?? [], verdict, packet: packetText(frame) });
  }

  /** Comes in by an interface. */
  #into(going: Going, index: number): Next {
    const device = this.#interface(index);
    const program = device ? this.#hooks.at(device.name, "xdp") : null;
    if (!device || program === null) return this.#ingress(going, index);
    const ran = this.#tracer.run(program, { packet: going.frame, context: xdpContext(index) });
    const after = { ...going, frame: ran.packet };
    const name = Object.entries(XDP).find(([, code]) => code === ran.returned)?.[0] ?? "aborted";
    this.#note(`xdp of ${device.name}`, { program, ran, verdict: name, frame: ran.packet });
    if (ran.returned === XDP.pass) return { go: () => this.#ingress(after, index) };
    if (ran.returned === XDP.tx) return this.#leaves(after, device.name);
    // XDP's own redirects leave without a look at the other interface's programs.
    if (ran.returned === XDP.redirect) return this.#leaves(after, this.#nameOf(ran.redirect?.target ?? 0));
    return dropped(ran);
  }

  #ingress(going: Going, index: number): Next {
    return this.#hook(going, { index, hook: "ingress" }, (after) => this.#route(after, false));
  }

  #egress(going: Going, index: number): Next {
    return this.#hook(going, { index, hook: "egress" }, (after) => {
      const row = this.#endpoints.find((each) => each.ifindex === index);
      return row ? this.#delivered(after, row) : this.#leaves(after, this.#nameOf(index));
    });
  }

  #hook(going: Going, at: { index: number; hook: Exclude<HookName, "xdp"> }, pass: (after: Going) => Next): Next {
    const name = this.#nameOf(at.index);
    const program = this.#hooks.at(name, at.hook);
    if (program === null) return pass(going);
    const context = skbContext(going.frame, { mark: going.mark, interface: at.index, hook: at.hook });
    const mtu = (index: number): number | null => this.#interface(index)?.mtu ?? null;
    const ran = this.#tracer.run(program, {
      packet: going.frame,
      context,
      host: { mtu, netnsCookie: this.#host.cookie },
    });
    const after = { frame: ran.packet, mark: markOf(ran.context) };
    const verdict = tcVerdict(ran);
    this.#note(`tcx ${at.hook} of ${name}`, { program, ran, verdict, frame: ran.packet });
    // What goes on then is an answer.
    if (ran.events.some(({ type }) => type === DROP)) return dropped(ran);
    if (ran.returned === TC.ok || ran.returned === TC.next) return pass(after);
    if (ran.returned === TC.redirect) return this.#redirect(after, ran);
    return dropped(ran);
  }

  #redirect(going: Going, ran: Ran): Next {
    const { redirect, tunnel } = ran;
    if (!redirect) return done("dropped", "the program redirects nowhere");
    const { helper, target, flags } = redirect;
    if (helper === "redirect_peer") {
      const row = this.#endpoints.find(({ ifindex }) => ifindex === target);
      return row ? this.#delivered(going, row) : done("delivered", `to the other end of ${this.#nameOf(target)}`);
    }
    if (tunnel) {
      const to = { family: tunnel.remote.length === 4 ? 4 : 6, bytes: tunnel.remote } as const;
      return this.#leaves(going, `the tunnel to ${formatAddress(to)}, number ${tunnel.id}`);
    }
    if (helper === "redirect" && (flags & INGRESS) !== 0n) return { go: () => this.#into(going, target) };
    return { go: () => this.#egress(going, target) };
  }

  // ---- the stack ----

  #delivered(going: Going, row: EndpointRow): Next {
    this.#frame = going.frame;
    this.#end = { kind: "workload", row };
    return done("delivered", `to endpoint ${row.id}`);
  }

  #leaves(going: Going, by: string): Next {
    this.#frame = going.frame;
    const device = this.#named(by);
    this.#end = device ? { kind: "outside", device } : null;
    return done("sent", `by ${by}`);
  }

  /** The kernel's routing. */
  #route(going: Going, isOwn: boolean): Next {
    const to = destinationOf(going.frame);
    if (!to) return done("host", "to the host: not IP");
    if (!isOwn && this.#isHosts(to)) {
      this.#frame = going.frame;
      this.#end = { kind: "host" };
      this.#note("routing", { program: "", verdict: "the host's own address", frame: going.frame });
      return done("host", "to the host");
    }
    const route = this.#routeTo(to);
    if (!route) return done("dropped", `no route to ${formatAddress(to)}`);
    const by = this.#nameOf(route.interface);
    const gateway = route.gateway ? ` over ${formatAddress(route.gateway)}` : "";
    const frame = isOwn ? going.frame : hopped(going.frame);
    if (!frame) return done("dropped", "its last hop was this one");
    this.#note("routing", { program: "", verdict: `by ${by}${gateway}`, frame });
    return { go: () => this.#egress({ ...going, frame }, route.interface) };
  }

  #routeTo(address: Address): Route | undefined {
    return this.#host
      .routes()
      .filter(
        ({ destination }) => destination.address.family === address.family && prefixContains(destination, address),
      )
      .sort((a, b) => b.destination.length - a.destination.length)[0];
  }

  #isHosts(address: Address): boolean {
    const text = formatAddress(address);
    return this.#host.addresses().some(({ prefix }) => formatAddress(prefix.address) === text);
  }

  #interface(index: number | undefined): Interface | undefined {
    return this.#interfaces.find((each) => each.index === index);
  }

  #named(name: string): Interface | undefined {
    return this.#interfaces.find((each) => each.name === name);
  }

  #nameOf(index: number): string {
    return this.#interface(index)?.name ?? `interface ${index}`;
  }
}

function tcVerdict({ returned, redirect }: Ran): string {
  if (returned === TC.ok || returned === TC.next) return "pass";
  if (returned === TC.redirect) return redirect?.helper ?? "redirect";
  return "drop";
}

/** The code of the drop is in its event. */
function dropped({ events, returned }: Ran): Next {
  const drop = events.findLast(({ type }) => type === DROP);
  const told = returned === TC.redirect ? ", and the sender is told" : "";
  return done("dropped", `${drop ? dropReasonText(drop.reason) : "without an event"}${told}`, drop?.reason ?? 0);
}

const ETHERNET = 14;

function destinationOf(frame: Uint8Array): Address | null {
  const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
  if (type === 0x0800) return { family: 4, bytes: frame.slice(ETHERNET + 16, ETHERNET + 20) };
  if (type === 0x86dd) return { family: 6, bytes: frame.slice(ETHERNET + 24, ETHERNET + 40) };
  return null;
}

/** One hop less; null where there is none left. */
function hopped(frame: Uint8Array): Uint8Array | null {
  const after = frame.slice();
  const isIpv4 = after[13] === 0;
  const at = ETHERNET + (isIpv4 ? 8 : 7);
  const hops = after[at] ?? 0;
  if (hops <= 1) return null;
  after[at] = hops - 1;
  if (!isIpv4) return after;
  const view = new DataView(after.buffer);
  const sum = view.getUint16(ETHERNET + 10) + 0x0100;
  view.setUint16(ETHERNET + 10, (sum + (sum >= 0xffff ? 1 : 0)) & 0xffff);
  return after;
}

function readEndpoints(machine: Machine, pins: string): EndpointRow[] {
  const rows = datapathTables.find(({ name }) => name === "endpoint")?.read(machine, pins) ?? [];
  return rows.flatMap((row) => {
    const mac = parseMac(String(row["mac"]));
    const hostMac = parseMac(String(row["nodeMac"]));
    const addresses = [row["ipv4"], row["ipv6"]].map(String).filter((text) => parseAddress(text) !== null);
    if (!mac || !hostMac) return [];
    return [
      {
        id: Number(row["id"]),
        identity: Number(row["identity"]),
        ifindex: Number(row["ifindex"]),
        addresses,
        mac,
        hostMac,
      },
    ];
  });
}
