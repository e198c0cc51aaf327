import type { Program, TestInput, TestResult } from "@skep/machine";
import type { Descriptor } from "../sys/index.ts";
import { Attributes, bpfError } from "./attributes.ts";
import { programInfo, type KernelProgramInfo } from "./info.ts";
import { pinObject } from "./pins.ts";

/** What a program's spec says about attaching, which the kernel does not tell back. */
export interface ProgramOrigin {
  /** The spec's name: longer than the kernel's fifteen bytes. */
  readonly name: string;
  readonly section?: string;
  readonly attachType?: string;
  readonly attachTo?: string;
}

export interface LinuxTestInput extends TestInput {
  /** XDP: sends the packets really (BPF_F_TEST_XDP_LIVE_FRAMES), `repeat` of them. */
  readonly live?: boolean;
  /** Live frames that are handed over at once. */
  readonly batch?: number;
  /** Runs there: only raw tracepoints can be told where. */
  readonly cpu?: number;
}

/** A loaded program. */
export class LinuxProgram implements Program {
  readonly name: string;
  readonly info: KernelProgramInfo;
  readonly origin: ProgramOrigin | null;
  /** The verifier's log, where it was asked for. */
  readonly log: string;
  readonly #descriptor: Descriptor;

  /** Takes over the descriptor. */
  constructor(descriptor: Descriptor, options: { readonly origin?: ProgramOrigin; readonly log?: string } = {}) {
    this.#descriptor = descriptor;
    this.info = programInfo(descriptor.fd);
    this.origin = options.origin ?? null;
    this.log = options.log ?? "";
    this.name = this.origin?.name ?? this.info.name;
  }

  /** Throws EBADF once closed. */
  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Asks the kernel again: counters change. */
  refresh(): KernelProgramInfo {
    return programInfo(this.fd);
  }

  duplicate(): LinuxProgram {
    return new LinuxProgram(this.#descriptor.duplicate(), this.origin ? { origin: this.origin } : {});
  }

  pin(path: string): void {
    pinObject(this.fd, path);
  }

  test(input: LinuxTestInput): TestResult {
    const [ON_CPU, LIVE_FRAMES] = [1, 2];
    const data = input.data ?? new Uint8Array(0);
    const context = input.context ? input.context.slice() : new Uint8Array(0);
    const takesData = input.data !== undefined && !input.live;
    const out = new Uint8Array(takesData ? (input.outputSize ?? data.byteLength + 256) : 0);
    // These two write nothing there: a syscall program's context comes back in place.
    const isInPlace = this.info.type === "syscall" || this.info.type.startsWith("raw_tracepoint");
    const contextOut = new Uint8Array(input.live || isInPlace ? 0 : context.byteLength);
    const attributes = new Attributes()
      .u32(0, this.fd)
      .u32(8, data.byteLength)
      .u32(12, out.byteLength)
      .pointer(16, data)
      .pointer(24, out)
      .u32(32, input.repeat ?? 0)
      .u32(40, context.byteLength)
      .u32(44, contextOut.byteLength)
      .pointer(48, context)
      .pointer(56, contextOut)
      .u32(64, (input.live ? LIVE_FRAMES : 0) | (input.cpu === undefined ? 0 : ON_CPU))
      .u32(68, input.cpu ?? 0)
      .u32(72, input.batch ?? 0);
    const result = attributes.try("prog_test_run");
    if (result < 0) throw bpfError("prog_test_run", -result, `of ${this.name}`);
    return {
      returned: attributes.readU32(4),
      data: out.subarray(0, Math.min(attributes.readU32(12), out.byteLength)),
      context: isInPlace ? context : contextOut.subarray(0, Math.min(attributes.readU32(44), contextOut.byteLength)),
      duration: attributes.readU32(36),
    };
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
