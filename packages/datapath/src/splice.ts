/**
 * @module
 * Sockets of two workloads of this node, each given directly what the other sends (`bpf/splice.bpf.ts`).
 */
import type { Address } from "@skep/net";
import type { Collection, Link, Machine, Program, RawMap } from "@skep/machine";
import { type ObjectSpec, readObject } from "@skep/object";
import { Address as AddressKey } from "./bpf/maps.bpf.ts";
import { SpliceCount } from "./bpf/splice.bpf.ts";
import { encodeAddress, encodeU32 } from "./encode.ts";
import { spliceObject } from "./generated/splice-object.ts";
import { checkLayout, makeLayouts, mapPin, recordLayout } from "./layouts.ts";

const [SOCKETS, HOMES, COUNTS] = ["skep_splice", "skep_splice_ns", "skep_splice_sum"] as const;
const [ESTABLISHED, MESSAGE] = ["skep_splice_ops", "skep_splice_msg"] as const;

export interface SpliceOptions {
  readonly pins: string;
  readonly cgroup: string;
  /** Of the datapath in force: connections, endpoints, policies. */
  readonly map: (name: string) => RawMap;
  readonly config: Readonly<Record<string, number>>;
  /** Sizes of the datapath's maps that are not the object's. */
  readonly maxEntries?: Readonly<Record<string, number>>;
}

/** What went directly, sockets that were remembered, and sockets that go through the network. */
export interface SpliceCounts {
  readonly messages: number;
  readonly bytes: number;
  readonly sockets: number;
  readonly network: number;
}

export class SocketSplice {
  readonly #machine: Machine;
  readonly #options: SpliceOptions;
  readonly #collection: Collection;
  readonly #opened: RawMap[] = [];
  readonly #links: Link[] = [];

  /** Throws NotSupportedError where the machine has no such programs. */
  constructor(machine: Machine, options: SpliceOptions) {
    this.#machine = machine;
    this.#options = options;
    const spec = readObject(spliceObject());
    const own = Object.values(spec.maps).filter(
      ({ data, name }) => data === undefined && name.startsWith("skep_splice"),
    );
    const shared = Object.values(spec.maps).filter((map) => map.data === undefined && !own.includes(map));
    const pinned = this.#openPinned(
      spec,
      own.map(({ name }) => name),
    );
    const given = Object.fromEntries(shared.map(({ name }) => [name, options.map(name)]));
    this.#collection = machine.bpf.load(spec, {
      maps: { ...given, ...pinned },
      config: options.config,
      ...(options.maxEntries ? { maxEntries: options.maxEntries } : {}),
    });
    try {
      this.#pinNew(
        spec,
        own.map(({ name }) => name).filter((name) => !pinned[name]),
      );
      this.#attach(MESSAGE, (program) =>
        machine.bpf.attach(program, { hook: "sockmap", map: this.#map(SOCKETS), attachType: "sk_msg_verdict" }),
      );
      this.#attach(ESTABLISHED, (program) => machine.bpf.attach(program, { hook: "cgroup", path: options.cgroup }));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #openPinned(spec: ObjectSpec, names: readonly string[]): Record<string, RawMap> {
    const { bpf } = this.#machine;
    const layouts = makeLayouts(bpf, this.#options.pins);
    const found: Record<string, RawMap> = {};
    try {
      for (const name of names) {
        const map = bpf.openMap(mapPin(this.#options.pins, name));
        if (!map) continue;
        this.#opened.push(map);
        found[name] = map;
        checkLayout(layouts, spec, name);
      }
      return found;
    } finally {
      layouts.close();
    }
  }

  #pinNew(spec: ObjectSpec, names: readonly string[]): void {
    const layouts = makeLayouts(this.#machine.bpf, this.#options.pins);
    try {
      for (const name of names) {
        recordLayout(layouts, spec, name);
        this.#map(name).pin(mapPin(this.#options.pins, name));
      }
    } finally {
      layouts.close();
    }
  }

  /** A new version's program takes the old one's place; sockets that are remembered already keep theirs. */
  #attach(name: string, attach: (program: Program) => Link): void {
    const program = this.#collection.programs[name];
    if (!program) throw new Error(`the splice's object has no program ${name}`);
    const pin = `${this.#options.pins}/links/${name}`;
    const known = this.#machine.bpf.openLink(pin);
    if (known?.isAttached()) {
      this.#links.push(known);
      known.update(program);
      return;
    }
    if (known) {
      this.#machine.bpf.unpin(pin);
      known.close();
    }
    const link = attach(program);
    this.#links.push(link);
    link.pin(pin);
  }

  #map(name: string): RawMap {
    const map = this.#collection.maps[name];
    if (!map) throw new Error(`the splice's object has no map ${name}`);
    return map;
  }

  /** The workload's sockets are those of this namespace (SO_NETNS_COOKIE). */
  setHome(addresses: readonly Address[], cookie: bigint): void {
    const value = new Uint8Array(8);
    new DataView(value.buffer).setBigUint64(0, cookie, true);
    for (const address of addresses) this.#map(HOMES).set(AddressKey.encode(encodeAddress(address)), value);
  }

  removeHome(addresses: readonly Address[]): void {
    for (const address of addresses) this.#map(HOMES).delete(AddressKey.encode(encodeAddress(address)));
  }

  counts(): SpliceCounts {
    const found = this.#map(COUNTS).get(encodeU32(0)) ?? new Uint8Array();
    const sum = { messages: 0, bytes: 0, sockets: 0, network: 0 };
    // One value for each CPU.
    for (let at = 0; at + SpliceCount.size <= found.length; at += SpliceCount.size) {
      const one = SpliceCount.decode(found.subarray(at));
      sum.messages += Number(one.messages);
      sum.bytes += Number(one.bytes);
      sum.sockets += Number(one.sockets);
      sum.network += Number(one.network);
    }
    return sum;
  }

  close(): void {
    for (const link of this.#links) link.close();
    this.#collection.close();
    for (const map of this.#opened) map.close();
  }
}

/** Sockets that are connected from now on go through the network. */
export function endSplice({ bpf }: Pick<Machine, "bpf">, pins: string): void {
  const links = bpf.pins(`${pins}/links`);
  for (const name of [ESTABLISHED, MESSAGE]) {
    if (!links.includes(name)) continue;
    const link = bpf.openLink(`${pins}/links/${name}`);
    bpf.unpin(`${pins}/links/${name}`);
    link?.close();
  }
}
