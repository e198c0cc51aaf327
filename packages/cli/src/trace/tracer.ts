/**
 * @module
 * Runs the datapath's own bytecode on one packet, in the interpreter, over the maps in force; notes every step.
 */
import { CONFIG_MAP, datapathCalls, type DatapathEvent, datapathObject, decodeEvent, readConfig } from "@skep/datapath";
import { helperById } from "@skep/isa";
import type { Machine } from "@skep/machine";
import type { ObjectSpec } from "@skep/object";
import {
  type Cpu,
  type HelperWatch,
  type Host,
  type Redirect,
  type TunnelKey,
  Vm,
  type VmMap,
  type VmObject,
} from "@skep/vm";
import { CliError } from "../errors.ts";
import { descriptorOf, eventText, keyOf, valueOf } from "./describe.ts";
import { Mirror, mirrorSizes } from "./mirror.ts";

export interface TraceStep {
  /** Line of the program. */
  readonly at: string;
  /** The helper, without its prefix. */
  readonly call: string;
  readonly map: string;
  readonly key: string;
  readonly result: string;
}

/** What a program made of the packet. */
export interface Ran {
  readonly steps: readonly TraceStep[];
  readonly returned: number;
  readonly packet: Uint8Array;
  readonly context: Uint8Array;
  readonly redirect: Redirect | null;
  /** Set where the packet goes into a tunnel. */
  readonly tunnel: TunnelKey | null;
  readonly events: readonly DatapathEvent[];
}

/** Places where a program puts things together, and counters: no part of the way. */
const SCRATCH = new Set(["skep_packet", "skep_ct_fresh", "skep_metrics", "skep_lost", "skep_denied"]);
/** Helpers that say where the packet goes. */
const SHOWN = new Set([
  ...["redirect", "redirect_peer", "redirect_neigh", "clone_redirect", "fib_lookup", "tail_call"],
  ...["skb_set_tunnel_key", "skb_get_tunnel_key", "skb_adjust_room", "skb_change_head", "xdp_adjust_head"],
]);

const hexAddress = (bytes: Uint8Array): string =>
  bytes.length === 4
    ? bytes.join(".")
    : Buffer.from(bytes)
        .toString("hex")
        .replaceAll(/(.{4})(?=.)/g, "$1:");

export class Tracer {
  readonly #vm: Vm;
  readonly #mirror: Mirror;
  readonly #object: VmObject;
  readonly #spec: ObjectSpec;
  readonly #maps = new Map<number, { map: VmMap; outer?: string }>();
  #steps: TraceStep[] = [];
  #events: DatapathEvent[] = [];
  /** Records that are being written, by address. */
  readonly #records = new Map<number, number>();
  #tunnel: TunnelKey | null = null;

  /** Throws CliError where no datapath is in force, LayoutError where it is another version's. */
  constructor(machine: Machine, pins: string) {
    const config = readConfig(machine.bpf, pins);
    if (!config)
      throw new CliError(`no datapath is pinned in ${pins}: start the agent (skep up), or name its --run or --pins`);
    const plain = datapathObject();
    this.#spec = datapathObject(variable(plain, config, "maglev_size"));
    const random = Uint32Array.of(1);
    this.#vm = new Vm({
      clock: () => machine.clock.monotonic(),
      // A trace is the same each time.
      random: () => (random[0] = Math.imul(random[0] ?? 1, 1_664_525) + 1_013_904_223) >>> 0,
      onHelper: (call) => this.#onHelper(call),
    });
    const rodata = this.#spec.maps[CONFIG_MAP];
    if (!rodata || rodata.valueSize !== config.length)
      throw new CliError("the datapath in force is another version's: trace with the command that started it");
    const given = this.#vm.createMap({ ...rodata, flags: 0 });
    given.set(new Uint8Array(4), config);
    this.#object = this.#vm.load(this.#spec, {
      engine: "interpreter",
      maps: { [CONFIG_MAP]: given },
      maxEntries: mirrorSizes(this.#spec),
    });
    for (const map of Object.values(this.#object.maps)) this.#maps.set(map.handle, { map });
    for (const { map, place, program } of datapathCalls)
      this.#vm.setProgram(this.#mapNamed(map), place, this.#program(program));
    this.#mirror = new Mirror(this.#vm);
    this.#mirror.open(machine.bpf, { pins, spec: this.#spec, maps: this.#object.maps });
  }

  #mapNamed(name: string): VmMap {
    const map = this.#object.maps[name];
    if (!map) throw new Error(`the datapath's object has no map ${name}`);
    return map;
  }

  #program(name: string): VmObject["programs"][string] {
    const program = this.#object.programs[name];
    if (!program) throw new Error(`the datapath's object has no program ${name}`);
    return program;
  }

  run(program: string, input: { packet?: Uint8Array; context: Uint8Array; host?: Host }): Ran {
    this.#steps = [];
    this.#events = [];
    this.#tunnel = null;
    const host: Host = {
      tunnelKey: {
        get: () => null,
        set: (key) => {
          this.#tunnel = key;
          return 0;
        },
      },
      ...input.host,
    };
    const { context, packet } = input;
    const ran = this.#vm.run(this.#program(program), { context, host, ...(packet ? { packet } : {}) });
    return {
      ...{ steps: this.#steps, events: this.#events, tunnel: this.#tunnel },
      ...{ returned: ran.returned, packet: ran.packet, context: ran.context, redirect: ran.redirect },
    };
  }

  close(): void {
    this.#mirror.close();
  }

  // ---- what it does ----

  readonly #onHelper: HelperWatch = ({ id, cpu, run }) => {
    const name = helperById(id)?.name ?? `kernel function ${-1 - id}`;
    switch (name) {
      case "map_lookup_elem":
        return this.#onLookup(cpu, run);
      case "map_update_elem":
      case "map_delete_elem":
        return this.#onWrite(cpu, name, run);
      case "ringbuf_reserve":
        return this.#onReserve(cpu, run);
      case "ringbuf_submit":
        return this.#onSubmit(cpu, run);
      default:
        return this.#onOther(cpu, name, run);
    }
  };

  #argument(cpu: Cpu): { map: VmMap; name: string; descriptor: ReturnType<typeof descriptorOf> } {
    const handle = cpu.pointer(1);
    const known = this.#maps.get(handle) ?? this.#innerMap(handle);
    const name = known.outer ?? known.map.spec.name;
    return { map: known.map, name, descriptor: descriptorOf(known.map.spec.name, known.outer) };
  }

  #innerMap(handle: number): { map: VmMap; outer?: string } {
    for (const [name, map] of Object.entries(this.#object.maps)) {
      for (const key of map.spec.inner ? map.keys() : []) {
        const inner = map.innerMap(key);
        if (inner?.handle !== handle) continue;
        const found = { map: inner, outer: name };
        this.#maps.set(handle, found);
        return found;
      }
    }
    throw new Error("a program looked into a map that it was not given");
  }

  #note(cpu: Cpu, step: Omit<TraceStep, "at">): void {
    const line = cpu.source?.();
    this.#steps.push({ at: line ? `${line.file.replace(/^.*\//, "")}:${line.line}` : "", ...step });
  }

  #onLookup(cpu: Cpu, run: () => number | bigint): number | bigint {
    const { map, name, descriptor } = this.#argument(cpu);
    const key = cpu.memory.bytes.slice(cpu.pointer(2), cpu.pointer(2) + map.spec.keySize);
    const isThere = this.#mirror.fetch(map, key);
    const address = isThere ? run() : 0;
    if (SCRATCH.has(name)) return address;
    const at = Number(address);
    const value = (): string =>
      map.spec.inner ? "found" : valueOf(descriptor, cpu.memory.bytes.slice(at, at + map.spec.valueSize));
    this.#note(cpu, { call: "lookup", map: name, key: keyOf(descriptor, key), result: at === 0 ? "none" : value() });
    return address;
  }

  #onWrite(cpu: Cpu, helper: "map_update_elem" | "map_delete_elem", run: () => number | bigint): number | bigint {
    const { map, name, descriptor } = this.#argument(cpu);
    const key = cpu.memory.bytes.slice(cpu.pointer(2), cpu.pointer(2) + map.spec.keySize);
    this.#mirror.fetch(map, key);
    const isUpdate = helper === "map_update_elem";
    const value = isUpdate ? cpu.memory.bytes.slice(cpu.pointer(3), cpu.pointer(3) + map.spec.valueSize) : null;
    const result = run();
    this.#mirror.written(map, key);
    const failed = Number(BigInt.asIntN(32, BigInt(result)));
    const done = value ? valueOf(descriptor, value) : "deleted";
    this.#note(cpu, {
      ...{ call: isUpdate ? "update" : "delete", map: name, key: keyOf(descriptor, key) },
      result: failed < 0 ? `error ${failed}` : done,
    });
    return result;
  }

  #onReserve(cpu: Cpu, run: () => number | bigint): number | bigint {
    const size = cpu.u32(2);
    const address = run();
    if (Number(address) !== 0) this.#records.set(Number(address), size);
    return address;
  }

  #onSubmit(cpu: Cpu, run: () => number | bigint): number | bigint {
    const address = cpu.pointer(1);
    const size = this.#records.get(address);
    this.#records.delete(address);
    if (size !== undefined) {
      const event = decodeEvent(cpu.memory.bytes.slice(address, address + size));
      this.#events.push(event);
      this.#note(cpu, { call: "event", map: "skep_events", key: "", result: eventText(event) });
    }
    return run();
  }

  #onOther(cpu: Cpu, name: string, run: () => number | bigint): number | bigint {
    const isTarget = name === "redirect" || name === "redirect_peer" || name === "redirect_neigh";
    const target = isTarget ? `interface ${cpu.u32(1)}` : "";
    if (name === "tail_call") {
      const at = cpu.u32(3);
      const map = this.#maps.get(cpu.pointer(2))?.map.spec.name ?? "";
      const called = datapathCalls.find((each) => each.map === map && each.place === at)?.program ?? "none";
      this.#note(cpu, { call: name, map, key: String(at), result: called });
      return run();
    }
    const result = run();
    if (!SHOWN.has(name)) return result;
    const tunnel = name === "skb_set_tunnel_key" ? this.#tunnel : null;
    const text = tunnel
      ? `to ${hexAddress(tunnel.remote)}, number ${tunnel.id}`
      : isTarget
        ? ""
        : `${BigInt.asIntN(32, BigInt(result))}`;
    this.#note(cpu, { call: name, map: "", key: target, result: text });
    return result;
  }
}

/** A number among the read-only variables. */
function variable(spec: ObjectSpec, contents: Uint8Array, name: string): number | undefined {
  const found = spec.maps[CONFIG_MAP]?.data?.variables.find((each) => each.name === name);
  if (!found) return undefined;
  return contents
    .subarray(found.offset, found.offset + found.size)
    .reduceRight((number, byte) => number * 256 + byte, 0);
}
