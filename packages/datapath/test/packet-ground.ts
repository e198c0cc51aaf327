/**
 * @module
 * The datapath on packets made here, on whichever machine: test runs of its programs, whose packets come from the interface with index 1.
 */
import type { Collection, Machine, Program, RawMap, TestInput } from "@skep/machine";
import { buildPacket, type LayerSpec } from "@skep/net";
import { readObject } from "@skep/object";
import type { PolicyMapEntry } from "@skep/policy";
import { skepObject } from "../src/generated/skep-object.ts";
import { withMaglevSize } from "../src/load-balancer.ts";
import {
  openDatapath,
  type Datapath,
  type DatapathAnswer,
  type DatapathEndpoint,
  type DatapathEvent,
  type DatapathOptions,
} from "../src/index.ts";
import { ip, SMALL } from "./addresses.ts";

export const mac = (...bytes: number[]): Uint8Array => Uint8Array.of(2, 0, 0, 0, ...bytes);

/** struct __sk_buff: its size, and where ifindex and gso_size stand. */
const SK_BUFF_SIZE = 192;
const [IFINDEX, GSO_SIZE] = [40, 176];

export interface PacketMachine {
  readonly machine: Machine;
  readonly pins: string;
  /** Removes what is the test's own. */
  close(): void | Promise<void>;
}

export interface Passed {
  readonly verdict: number;
  readonly data: Uint8Array;
  readonly events: readonly DatapathEvent[];
  readonly answers: readonly DatapathAnswer[];
}

/** The interface of test runs, and one that nothing comes from. */
export const [HERE, ELSEWHERE] = [1, 4095];

export const everything = (direction: "ingress" | "egress"): PolicyMapEntry => ({
  ...{ direction, identity: 0, protocol: 0, port: 0, portPrefix: 0, precedence: 1 },
  ...{ deny: false, proxyPort: 0, cookie: 7 },
});

export class PacketGround {
  readonly datapath: Datapath;
  readonly #under: PacketMachine;
  readonly #programs: Collection;
  readonly #maps: Readonly<Record<string, RawMap>>;
  readonly #reader: ReturnType<Datapath["readEvents"]>;
  #seen: DatapathEvent[] = [];
  #answers: DatapathAnswer[] = [];

  /** `config`: of the programs that packets are given to, beside what the options say. */
  constructor(
    under: PacketMachine,
    given: Partial<DatapathOptions> & { readonly cgroup: string; readonly config?: Readonly<Record<string, number>> },
  ) {
    this.#under = under;
    const { machine, pins } = under;
    const { config = {}, ...options } = given;
    const maxEntries = { ...SMALL.maxEntries, ...options.maxEntries };
    this.datapath = openDatapath(machine, { pins, ...SMALL, ...options, maxEntries });
    // The same programs once more, on the datapath's own maps: the datapath keeps its handles to itself.
    const names = machine.bpf.pins(`${pins}/maps`).filter((name) => name !== "skep_layouts");
    const maps = names.flatMap((name) => {
      const map = machine.bpf.openMap(`${pins}/maps/${name}`);
      return map ? [[name, map] as const] : [];
    });
    this.#maps = Object.fromEntries(maps);
    this.#programs = machine.bpf.load(withMaglevSize(readObject(skepObject()), SMALL.loadBalancer.maglevSize), {
      maps: this.#maps,
      maxEntries,
      config: {
        maglev_size: SMALL.loadBalancer.maglevSize,
        prefilter: options.loadBalancer?.prefilter ? 3 : 0,
        egress_gateway: options.egressGateway ? 1 : 0,
        departure_times: options.departureTimes ? 1 : 0,
        ...config,
      },
    });
    this.#reader = this.datapath.readEvents(
      (event) => this.#seen.push(event),
      (answer) => this.#answers.push(answer),
    );
  }

  /** One of the datapath's own maps. */
  map(name: string): RawMap {
    const found = this.#maps[name];
    if (!found) throw new Error(`no map ${name}`);
    return found;
  }

  setEndpoint(endpoint: DatapathEndpoint): void {
    this.datapath.setEndpoint(endpoint);
  }

  allow(endpoint: number, entries: readonly PolicyMapEntry[] = [everything("ingress"), everything("egress")]): void {
    this.datapath.setPolicy({ endpoint, revision: 1, ingressEnforced: true, egressEnforced: true, entries });
  }

  /** Takes everything out of a map. */
  clear(name: string): void {
    const map = this.map(name);
    map.deleteAll([...map.entries()].map(([key]) => key));
  }

  program(name: string): Program {
    const found = this.#programs.programs[name];
    if (!found) throw new Error(`no program ${name}`);
    return found;
  }

  /** `other`: in the place of the datapath's own program. */
  send(program: string, data: Uint8Array, other?: Program): Passed {
    return this.#sendTo(other ?? this.program(program), { data });
  }

  /** A packet that is yet to be cut into segments with so many bytes each. */
  sendLarge(program: string, data: Uint8Array, segment: number): Passed {
    const context = new Uint8Array(SK_BUFF_SIZE);
    const view = new DataView(context.buffer);
    view.setUint32(IFINDEX, HERE, true);
    view.setUint32(GSO_SIZE, segment, true);
    return this.#sendTo(this.program(program), { data, context });
  }

  #sendTo(program: Program, input: TestInput): Passed {
    this.#seen = [];
    this.#answers = [];
    const { returned, data: out } = program.test(input);
    this.#reader.drain();
    return { verdict: returned, data: out, events: this.#seen, answers: this.#answers };
  }

  async close(): Promise<void> {
    this.#reader.close();
    this.#programs.close();
    this.datapath.destroy();
    await this.#under.close();
  }
}

// ---- packets ----

export const payload = (length: number): LayerSpec => ({
  kind: "payload",
  bytes: Uint8Array.from({ length }, (_, at) => (at * 37 + length) & 0xff),
});

export interface Hop {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** A frame between two MAC addresses. */
export const frame = (hop: Hop, ...layers: readonly LayerSpec[]): Uint8Array =>
  buildPacket([{ kind: "ethernet", ...hop }, ...layers]);

/** The IP header; `hops`: TTL or hop limit. */
export const network = (from: string, to: string, hops = 64, over: object = {}): LayerSpec => {
  const [source, destination] = [ip(from), ip(to)];
  return source.family === 4
    ? { kind: "ipv4", source, destination, identification: 7, ttl: hops, ...over }
    : { kind: "ipv6", source, destination, hopLimit: hops, ...over };
};

export type Transport = "tcp" | "udp" | "sctp";
export const NUMBER = { tcp: 6, udp: 17, sctp: 132 } as const;
export const FLAG = { FIN: 0x01, SYN: 0x02, RST: 0x04, PSH: 0x08, ACK: 0x10 } as const;

export const segment = (
  kind: Transport,
  [sourcePort, destinationPort]: readonly [number, number],
  flags: number = FLAG.SYN,
): LayerSpec =>
  kind === "tcp"
    ? { kind, sourcePort, destinationPort, flags, sequence: 0x12345678 }
    : { kind, sourcePort, destinationPort };

export const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
