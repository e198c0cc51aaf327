/**
 * @module
 * bpf(2) of the simulated machine: maps and programs in a user-space CPU, pins in memory, attachments at the hooks of its network and cgroups.
 */
import type {
  AttachTarget,
  BpfMachine,
  Collection,
  Link,
  LoadOptions,
  Program,
  RawMap,
  RingReader,
} from "@skep/machine";
import type { MapSpec, ObjectSpec } from "@skep/object";
import {
  type KernelObject,
  type RingMap,
  type RunInput,
  type RunResult,
  SocketMap,
  Vm,
  type VmMap,
  type VmProgram,
} from "@skep/vm";
import { NotSupportedError, SimError } from "../error.ts";
import { type SockMapHooks, sockMapHooks } from "../net/sock-programs.ts";
import type { Sock } from "../net/sock.ts";
import type { Simulation } from "../simulation.ts";
import { SimLink, SimProgram } from "./handles.ts";
import type { HookList, HookSlot } from "./hooks.ts";
import { SimMap } from "./map.ts";
import { LinkObject, MapObject, ProgramObject } from "./objects.ts";
import { PinTree } from "./pins.ts";

/** Where programs are attached: the network and the cgroups of the machine. */
export interface Hooks {
  /** Null where there is no such interface. */
  mtu(interfaceIndex: number): number | null;
  /** Null where there is no such interface. */
  tcx(interfaceIndex: number, direction: "ingress" | "egress"): HookList | null;
  /** Null where there is no such interface; `primary` null where it is not the first of a netkit pair. */
  netkit(interfaceIndex: number): { readonly primary: HookList | null; readonly peer: HookList | null } | null;
  xdp(interfaceIndex: number): HookSlot | null;
  /** Null where there is no such folder. Throws NotSupportedError for a hook that nothing fires. */
  cgroup(path: string, attachType: string): HookList | null;
  /** By the path of a namespace's file; null where there is none. Default: the machine's own. */
  skLookup(namespace: string | undefined): HookList | null;
  /** The socket that user space calls so. */
  socket(descriptor: number): Sock | null;
  /** The socket that programs see so. */
  sockOf(object: KernelObject): Sock | null;
}

const EINVAL = 22;
/** Helpers that only the hooks which have them answer. */
const HOOK_HELPERS = [
  "sock_ops_cb_flags_set",
  "sysctl_get_name",
  "sysctl_get_current_value",
  "sysctl_get_new_value",
  "sysctl_set_new_value",
];

interface StartedRing {
  readonly map: RingMap;
  readonly drain: () => void;
  isDue: boolean;
}

export class SimBpf implements BpfMachine {
  readonly possibleCpus = 1;
  readonly vm: Vm;
  readonly tree = new PinTree();
  readonly #simulation: Simulation;
  readonly #hooks: Hooks;
  readonly #maps = new Map<VmMap, MapObject>();
  readonly #programs = new Map<number, VmProgram>();
  readonly #rings = new Set<StartedRing>();
  readonly #sockMaps = new Map<VmMap, SockMapHooks>();
  #lastLink = 0;

  constructor(simulation: Simulation, hooks: Hooks) {
    this.#simulation = simulation;
    this.#hooks = hooks;
    this.vm = new Vm({
      clock: () => simulation.clock.monotonic(),
      random: () => simulation.random.next(),
      host: {
        schedule: (at, run) => simulation.clock.at(at, run),
        objectOf: (kind, descriptor) => (kind === "socket" ? (hooks.socket(descriptor)?.object ?? null) : null),
        mtu: (index) => hooks.mtu(index),
        socketCookie: (object) => (object && hooks.sockOf(object)?.cookie) ?? 0n,
        special: Object.fromEntries(HOOK_HELPERS.map((name) => [name, () => -EINVAL])),
      },
    });
  }

  /** Runs a program; readers of rings that it wrote to are woken at the same instant. */
  run(program: VmProgram, input: RunInput): RunResult {
    try {
      return this.vm.run(program, input);
    } finally {
      for (const ring of this.#rings) {
        // BPF_RB_AVAIL_DATA
        if (ring.isDue || ring.map.query(0n) === 0) continue;
        ring.isDue = true;
        this.#simulation.clock.after(0, () => {
          ring.isDue = false;
          if (this.#rings.has(ring)) ring.drain();
        });
      }
    }
  }

  /** What maps hold of a program; null where it has ended. */
  programById(id: number): VmProgram | null {
    return this.#programs.get(id) ?? null;
  }

  // ---- objects ----

  #mapObjectOf(map: VmMap): MapObject {
    const known = this.#maps.get(map);
    if (known) return known;
    if (map instanceof SocketMap) this.#watch(map);
    const object = new MapObject(map, (ended) => {
      this.#maps.delete(ended);
      this.#sockMaps.delete(ended);
      this.vm.closeMap(ended);
    });
    this.#maps.set(map, object);
    return object;
  }

  /** Sockets take the programs of a map when they enter it. */
  #watch(map: SocketMap): void {
    const hooks = sockMapHooks();
    this.#sockMaps.set(map, hooks);
    map.onChange = (object, entered) => {
      const sock = this.#hooks.sockOf(object);
      if (entered) sock?.programs.join(map, hooks);
      else sock?.programs.leave(map);
    };
  }

  mapObject(handle: RawMap): MapObject {
    if (!(handle instanceof SimMap)) throw new SimError("EBADF", "a map of another machine");
    return handle.object;
  }

  programObject(handle: Program): ProgramObject {
    if (!(handle instanceof SimProgram)) throw new SimError("EBADF", "a program of another machine");
    return handle.object;
  }

  createMap(spec: MapSpec): RawMap {
    return new SimMap(this.#mapObjectOf(this.vm.createMap(spec)), this);
  }

  load(spec: ObjectSpec, options: LoadOptions = {}): Collection {
    const given = Object.entries(options.maps ?? {}).map(([name, map]) => [name, this.mapObject(map).map] as const);
    const loaded = this.vm.load(spec, { ...options, maps: Object.fromEntries(given) });
    const objects = Object.values(loaded.maps).map((map) => this.#mapObjectOf(map));
    const maps = Object.fromEntries(
      Object.entries(loaded.maps).map(([name, map]) => [name, new SimMap(this.#mapObjectOf(map), this)]),
    );
    const programs = Object.fromEntries(
      Object.entries(loaded.programs).map(([name, program]) => [
        name,
        new SimProgram(this.#programObjectOf(program, objects), this),
      ]),
    );
    return {
      maps,
      programs,
      close: () => {
        for (const handle of [...Object.values(programs), ...Object.values(maps)]) handle.close();
      },
    };
  }

  #programObjectOf(program: VmProgram, maps: readonly MapObject[]): ProgramObject {
    this.#programs.set(program.id, program);
    return new ProgramObject(program, maps, () => this.#programs.delete(program.id));
  }

  // ---- pins ----

  openMap(pin: string): RawMap | null {
    const found = this.tree.get(pin, "map");
    return found instanceof MapObject ? new SimMap(found, this) : null;
  }

  openLink(pin: string): Link | null {
    const found = this.tree.get(pin, "link");
    return found instanceof LinkObject ? new SimLink(found, this) : null;
  }

  programOf(link: Link): Program | null {
    if (!(link instanceof SimLink)) throw new SimError("EBADF", "a link of another machine");
    return new SimProgram(link.object.program, this);
  }

  openProgram(pin: string): Program | null {
    const found = this.tree.get(pin, "program");
    return found instanceof ProgramObject ? new SimProgram(found, this) : null;
  }

  preparePins(folder: string): { mounted: boolean } {
    return { mounted: this.tree.makeFolder(folder) };
  }

  pins(folder: string): string[] {
    return this.tree.names(folder);
  }

  unpin(pin: string): void {
    this.tree.unpin(pin);
  }

  removePins(folder: string): void {
    this.tree.removeFolder(folder);
  }

  // ---- attachments ----

  attach(program: Program, target: AttachTarget): Link {
    const object = this.programObject(program);
    const link = new LinkObject({ id: ++this.#lastLink, type: target.hook, program: object });
    // Held while it is attached, so that a failure ends it.
    link.retain();
    try {
      this.#place(link, object, target);
      return new SimLink(link, this);
    } finally {
      link.release();
    }
  }

  #place(link: LinkObject, program: ProgramObject, target: AttachTarget): void {
    const find = (handle: unknown): LinkObject | ProgramObject => {
      if (handle instanceof SimLink) return handle.object;
      if (handle instanceof SimProgram) return handle.object;
      throw new SimError("EBADF", "a program or link of another machine");
    };
    if (target.hook === "tcx") {
      const list = this.#hooks.tcx(target.interface, target.direction);
      if (!list) throw new SimError("ENODEV", `attaching to interface ${target.interface}`);
      expectType(program, "sched_cls", "tcx");
      list.attach(link, target, find);
    } else if (target.hook === "netkit") {
      const ends = this.#hooks.netkit(target.interface);
      if (!ends) throw new SimError("ENODEV", `attaching to interface ${target.interface}`);
      const list = ends.primary && (target.end === "peer" ? ends.peer : ends.primary);
      // drivers/net/netkit.c: netkit_dev_fetch.
      if (!list) throw new SimError("EACCES", `interface ${target.interface} is no primary end of a netkit pair`);
      expectType(program, "sched_cls", "netkit");
      list.attach(link, target, find);
    } else if (target.hook === "xdp") {
      if (target.mode === "hardware") throw new NotSupportedError("card that runs programs");
      const slot = this.#hooks.xdp(target.interface);
      if (!slot) throw new SimError("ENODEV", `attaching to interface ${target.interface}`);
      expectType(program, "xdp", "xdp");
      slot.attach(link);
    } else if (target.hook === "cgroup") {
      const type = target.attachType ?? program.program.attachType;
      if (type === undefined) throw new SimError("EINVAL", `${program.program.name} names no cgroup hook`);
      const list = this.#hooks.cgroup(target.path, type);
      if (!list) throw new SimError("ENOENT", `attaching to cgroup ${target.path}`);
      list.attach(link, target, find);
    } else if (target.hook === "sk_lookup") {
      const list = this.#hooks.skLookup(target.namespace);
      if (!list) throw new SimError("ENOENT", `attaching to namespace ${target.namespace}`);
      expectType(program, "sk_lookup", "sk_lookup");
      list.attach(link, {}, find);
    } else if (target.hook === "sockmap") {
      const hooks = this.#sockMaps.get(this.mapObject(target.map).map);
      const type = target.attachType ?? program.program.attachType ?? "";
      const slot = hooks && Object.entries(hooks).find(([name]) => name === type)?.[1];
      if (!slot) throw new SimError("EINVAL", `a map of type ${target.map.info.type} has no hook ${type}`);
      slot.attach(link);
    } else throw new NotSupportedError(`hook ${target.hook}`);
  }

  // ---- rings ----

  readRing(map: RingMap, onRecord: (record: Uint8Array) => void): RingReader {
    const drain = (): number => map.drain(onRecord);
    const started: StartedRing = { map, drain, isDue: false };
    return {
      drain,
      start: () => {
        this.#rings.add(started);
        if (map.query(0n) > 0) this.#simulation.clock.after(0, () => this.#rings.has(started) && drain());
      },
      stop: () => {
        this.#rings.delete(started);
      },
      close: () => {
        this.#rings.delete(started);
      },
    };
  }
}

function expectType({ program }: ProgramObject, type: string, hook: string): void {
  if (program.type !== type)
    throw new SimError("EINVAL", `${hook} takes programs of type ${type}, not ${program.type}`);
}
