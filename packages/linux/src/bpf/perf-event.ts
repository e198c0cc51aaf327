import { readFileSync } from "node:fs";
import type { PerfEvent } from "@skep/machine";
import { Descriptor, isErrno, ioctlValue, rawSyscall, Scratch, SyscallError, keepUntilHere } from "../sys/index.ts";
import { onlineCpus } from "./cpus.ts";
import { NotSupportedError } from "./not-supported.ts";

// enum perf_type_id, include/uapi/linux/perf_event.h.
export const PERF_TYPE = { hardware: 0, software: 1, tracepoint: 2 } as const;
const PERF_COUNT_SW_BPF_OUTPUT = 10;
const PERF_SAMPLE_RAW = 1 << 10;

const hardware = {
  cycles: 0,
  instructions: 1,
  cache_references: 2,
  cache_misses: 3,
  branches: 4,
  branch_misses: 5,
} as const;
const software = { cpu_clock: 0, task_clock: 1, page_faults: 2, context_switches: 3, cpu_migrations: 4 } as const;

/** What perf_event_open(2) is asked for; the rest of struct perf_event_attr is zero. */
export interface PerfAttributes {
  readonly type: number;
  readonly config: bigint;
  /** Period, or frequency with `isFrequency`. */
  readonly sample?: number;
  readonly isFrequency?: boolean;
  readonly sampleType?: number;
  readonly wakeupEvents?: number;
  /** Fields at offsets 56 and 64, which a probe's place goes into. */
  readonly config1?: bigint;
  readonly config2?: bigint;
}

export interface PerfPlace {
  /** -1: every process. */
  readonly process?: number;
  /** -1: every CPU. */
  readonly cpu?: number;
}

const ATTRIBUTE_SIZE = 112;
const FREQUENCY = 1n << 10n;
const FLAG_CLOEXEC = 8;

/** perf_event_open(2). Throws `SyscallError`. */
export function openPerfEvent(attributes: PerfAttributes, place: PerfPlace, detail: string): Descriptor {
  const scratch = new Scratch(ATTRIBUTE_SIZE);
  const { view } = scratch;
  view.setUint32(0, attributes.type, true);
  view.setUint32(4, ATTRIBUTE_SIZE, true);
  view.setBigUint64(8, attributes.config, true);
  view.setBigUint64(16, BigInt(attributes.sample ?? 0), true);
  view.setBigUint64(24, BigInt(attributes.sampleType ?? 0), true);
  view.setBigUint64(40, attributes.isFrequency ? FREQUENCY : 0n, true);
  view.setUint32(48, attributes.wakeupEvents ?? 0, true);
  view.setBigUint64(56, attributes.config1 ?? 0n, true);
  view.setBigUint64(64, attributes.config2 ?? 0n, true);
  const process = place.process ?? -1;
  const cpu = place.cpu ?? (process === -1 ? 0 : -1);
  const fd = rawSyscall("perf_event_open", scratch.address, process, cpu, -1, FLAG_CLOEXEC);
  keepUntilHere(scratch);
  if (fd < 0) throw new SyscallError("perf_event_open", -fd, { detail });
  return new Descriptor(fd, "perf event");
}

const PERF_EVENT_IOC_ENABLE = 0x2400;
const PERF_EVENT_IOC_DISABLE = 0x2401;
const PERF_EVENT_IOC_SET_BPF = 0x40042408;

export function enablePerfEvent(event: Descriptor): void {
  ioctlValue(event.fd, PERF_EVENT_IOC_ENABLE, 0, "enable a perf event");
}

export function disablePerfEvent(event: Descriptor): void {
  ioctlValue(event.fd, PERF_EVENT_IOC_DISABLE, 0, "disable a perf event");
}

/** How programs were attached to perf events before there were links (5.15). */
export function setPerfProgram(event: Descriptor, program: number): void {
  ioctlValue(event.fd, PERF_EVENT_IOC_SET_BPF, program, "attach to a perf event");
}

/** Throws `NotSupportedError` where the machine has no such counter. */
function openNamed(event: PerfEvent["event"], sample: Partial<PerfAttributes>, place: PerfPlace): Descriptor {
  const isHardware = event in hardware;
  const table: Readonly<Record<string, number>> = isHardware ? hardware : software;
  const number = table[event];
  if (number === undefined) throw new TypeError(`unknown event ${event}`);
  const type = isHardware ? PERF_TYPE.hardware : PERF_TYPE.software;
  try {
    return openPerfEvent({ type, config: BigInt(number), ...sample }, place, event);
  } catch (cause) {
    if (!isHardware || !isErrno(cause, "ENOENT", "EOPNOTSUPP", "ENODEV")) throw cause;
    throw new NotSupportedError(`hardware counter ${event}`, { detail: "this machine offers none", cause });
  }
}

/** A sampling event on one CPU. Throws `NotSupportedError` where the machine has no such counter. */
export function openSampling({ event, sample, process }: PerfEvent, cpu: number): Descriptor {
  const isFrequency = "frequency" in sample;
  const attributes = { sample: isFrequency ? sample.frequency : sample.period, isFrequency };
  return openNamed(event, attributes, process === undefined ? { cpu } : { cpu, process });
}

/** A counter on each CPU that is online, given to `put`; closed together. */
export function openCounters(
  event: PerfEvent["event"],
  put: (cpu: number, counter: number) => void,
): { close(): void } {
  const counters: Descriptor[] = [];
  const close = (): void => counters.forEach((each) => each.close());
  try {
    for (const cpu of onlineCpus()) {
      const counter = openNamed(event, {}, { cpu });
      counters.push(counter);
      put(cpu, counter.fd);
    }
  } catch (error) {
    close();
    throw error;
  }
  return { close };
}

/** The event through which `bpf_perf_event_output` writes into a ring. */
export function openOutput(cpu: number, wakeupEvents: number): Descriptor {
  return openPerfEvent(
    {
      type: PERF_TYPE.software,
      config: BigInt(PERF_COUNT_SW_BPF_OUTPUT),
      sample: 1,
      sampleType: PERF_SAMPLE_RAW,
      wakeupEvents,
    },
    { cpu },
    `output of CPU ${cpu}`,
  );
}

export interface ProbeUnit {
  readonly type: number;
  /** The bit of `config` that makes a probe one of returns. */
  readonly returnBit: bigint;
}

/** A probe's PMU (`kprobe`, `uprobe`), which the kernel numbers at boot. Throws `NotSupportedError`. */
export function probeUnit(name: "kprobe" | "uprobe"): ProbeUnit {
  const folder = `/sys/bus/event_source/devices/${name}`;
  try {
    const bit = /^config:(\d+)/.exec(readFileSync(`${folder}/format/retprobe`, "utf8"));
    return { type: Number(readFileSync(`${folder}/type`, "utf8")), returnBit: 1n << BigInt(bit?.[1] ?? 0) };
  } catch (cause) {
    throw new NotSupportedError(`${name}s`, { minKernel: "4.17", detail: `there is no ${folder}`, cause });
  }
}
