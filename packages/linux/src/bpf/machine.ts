import { inNamespace } from "../sys/index.ts";
import type { AttachTarget, BpfMachine, Link, Program } from "@skep/machine";
import type { MapSpec, ObjectSpec } from "@skep/object";
import { possibleCpus } from "./cpus.ts";
import { autoTarget } from "./attach/auto.ts";
import type { AttachContext } from "./attach/common.ts";
import { attachProgram } from "./attach/index.ts";
import { LinuxLink } from "./link.ts";
import { loadCollection, type LinuxCollection, type LinuxLoadOptions } from "./load.ts";
import { createMap } from "./map-create.ts";
import { LinuxMap } from "./map.ts";
import { programById } from "./objects.ts";
import { openPinned, pinsIn, preparePins, removePinFolder, unpin, type PreparedPins } from "./pins.ts";
import { queryPrograms, type QueryResult, type QueryTarget } from "./query.ts";
import { attachStructOps } from "./struct-ops.ts";
import { createToken, type BpfToken } from "./token.ts";
import { LinuxProgram } from "./program.ts";

export interface LinuxBpfOptions {
  /** Path of the network namespace whose interfaces are meant; the process's own by default. */
  readonly netns?: string;
}

/** BPF in the running kernel. */
export class LinuxBpf implements BpfMachine {
  readonly #context: AttachContext;

  /** How many values a per-CPU map holds under one key: CPUs that may ever be there. */
  get possibleCpus(): number {
    return possibleCpus();
  }

  constructor(options: LinuxBpfOptions = {}) {
    const { netns } = options;
    this.#context = {
      inHost: (run) => (netns === undefined ? run() : inNamespace(netns, run)),
    };
  }

  load(spec: ObjectSpec, options?: LinuxLoadOptions): LinuxCollection {
    // A program that is bound to an interface is loaded where that is.
    if (options?.interface !== undefined) return this.#context.inHost(() => loadCollection(spec, options));
    return loadCollection(spec, options);
  }

  /** Registers a struct_ops map with a link. */
  attachStructOps(map: LinuxMap): Link {
    return attachStructOps(map);
  }

  createMap(spec: MapSpec, options: { readonly token?: BpfToken } = {}): LinuxMap {
    return createMap(spec, { token: options.token?.fd ?? 0 });
  }

  /** A token from a BPF file system whose mount delegates commands to this user namespace. */
  createToken(mountPoint: string): BpfToken {
    return createToken(mountPoint);
  }

  openMap(pin: string): LinuxMap | null {
    const descriptor = openPinned(pin, "map");
    return descriptor && new LinuxMap(descriptor);
  }

  openLink(pin: string): LinuxLink | null {
    const descriptor = openPinned(pin, "link");
    return descriptor && new LinuxLink(descriptor);
  }

  openProgram(pin: string): LinuxProgram | null {
    const descriptor = openPinned(pin, "program");
    return descriptor && new LinuxProgram(descriptor);
  }

  /** Needs CAP_SYS_ADMIN, as whatever asks by id. */
  programOf(link: Link): LinuxProgram | null {
    return programById(link.info.programId);
  }

  preparePins(folder: string): PreparedPins {
    return preparePins(folder);
  }

  pins(folder: string): string[] {
    return pinsIn(folder);
  }

  unpin(pin: string): void {
    unpin(pin);
  }

  removePins(folder: string): void {
    removePinFolder(folder);
  }

  attach(program: Program, target: AttachTarget): Link {
    return attachProgram(program, target, this.#context);
  }

  /** What is attached to a hook, in order. */
  query(target: QueryTarget): QueryResult {
    return queryPrograms(target, this.#context);
  }

  /** Attaches where the program's section says; null where it names no target. */
  attachAuto(program: LinuxProgram): Link | null {
    const target = autoTarget(program);
    return target && this.attach(program, target);
  }
}
