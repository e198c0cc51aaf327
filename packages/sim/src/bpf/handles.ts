import type { Link, Program, TestInput, TestResult } from "@skep/machine";
import type { Host } from "@skep/vm";
import { SimError } from "../error.ts";
import type { SimBpf } from "./machine.ts";
import type { LinkObject, ProgramObject } from "./objects.ts";

const SKB = { size: 192, protocol: 16, interface: 40 } as const;
const XDP = { size: 24, ingressInterface: 12 } as const;
const LOOPBACK = 1;

/** Packets of test runs come from the loopback interface (net/bpf/test_run.c). */
function loopbackContext(type: string, data: Uint8Array): Uint8Array | undefined {
  if (type !== "xdp" && type !== "sched_cls") return undefined;
  const bytes = new Uint8Array(type === "xdp" ? XDP.size : SKB.size);
  const view = new DataView(bytes.buffer);
  if (type === "xdp") {
    view.setUint32(XDP.ingressInterface, LOOPBACK, true);
    return bytes;
  }
  bytes.set(data.subarray(12, 14), SKB.protocol);
  view.setUint32(SKB.interface, LOOPBACK, true);
  return bytes;
}

/** A handle on a program. */
export class SimProgram implements Program {
  readonly name: string;
  readonly info: Program["info"];
  readonly #object: ProgramObject;
  readonly #bpf: SimBpf;
  #isClosed = false;

  constructor(object: ProgramObject, bpf: SimBpf) {
    object.retain();
    this.#object = object;
    this.#bpf = bpf;
    const { name, id, type } = object.program;
    this.name = name;
    this.info = { id, type, tag: id.toString(16).padStart(16, "0") };
  }

  /** Throws EBADF once closed. */
  get object(): ProgramObject {
    if (this.#isClosed) throw new SimError("EBADF", `program ${this.name} is closed`);
    return this.#object;
  }

  pin(path: string): void {
    this.#bpf.tree.pin(path, this.object);
  }

  test(input: TestInput): TestResult {
    const { program } = this.object;
    const context = input.context ?? (input.data ? loopbackContext(this.info.type, input.data) : undefined);
    const host = { tunnelKey: tunnelOfRun() };
    const given = { host, ...(input.data ? { packet: input.data } : {}), ...(context ? { context } : {}) };
    let result = this.#bpf.run(program, given);
    for (let run = 1; run < (input.repeat ?? 1); run++)
      result = this.#bpf.run(program, { ...given, ...(input.data ? { packet: result.packet } : {}) });
    // Virtual time stands still while a program runs.
    return { returned: result.returned, data: result.packet, context: result.context, duration: 0 };
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#object.release();
  }
}

/** A packet of a test run comes by no tunnel, and may be told to leave by one. */
function tunnelOfRun(): NonNullable<Host["tunnelKey"]> {
  let key: ReturnType<NonNullable<Host["tunnelKey"]>["get"]> = null;
  return {
    get: () => key,
    set: (given) => {
      key = given;
      return 0;
    },
  };
}

/** A handle on an attachment. */
export class SimLink implements Link {
  readonly #object: LinkObject;
  readonly #bpf: SimBpf;
  #isClosed = false;

  constructor(object: LinkObject, bpf: SimBpf) {
    object.retain();
    this.#object = object;
    this.#bpf = bpf;
  }

  get object(): LinkObject {
    if (this.#isClosed) throw new SimError("EBADF", `link ${this.#object.id} is closed`);
    return this.#object;
  }

  get info(): Link["info"] {
    const { id, type, program } = this.object;
    return { id, programId: program.program.id, type };
  }

  isAttached(): boolean {
    return this.object.isAttached;
  }

  update(program: Program): void {
    const next = this.#bpf.programObject(program);
    if (!this.object.isAttached) throw new SimError("ENOLINK", `what link ${this.object.id} was attached to has gone`);
    if (next.program.type !== this.object.program.program.type)
      throw new SimError("EINVAL", `a link of ${this.object.program.program.type} takes no ${next.program.type}`);
    this.object.replace(next);
  }

  pin(path: string): void {
    this.#bpf.tree.pin(path, this.object);
  }

  detach(): void {
    this.object.detach();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#object.release();
  }
}
