import type { Code } from "./code.ts";
import { errno } from "./error.ts";
import type { Host } from "./host.ts";
import type { SpecialField, VmMap } from "./maps/map.ts";
import { keyText } from "./maps/map.ts";

interface Timer {
  readonly map: VmMap;
  /** Function's address and the program that has it. */
  callback: { readonly address: number; readonly code: Code } | null;
  cancel: (() => void) | null;
  /** A task's work that waits or runs: it is not asked for again. */
  busy: boolean;
}

/** What a program asks a task to do. */
export interface TaskWork {
  readonly map: VmMap;
  readonly callback: { readonly address: number; readonly code: Code };
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly at: bigint;
  /** Where the key is put for the callback. */
  readonly scratch: number;
}

/** Whether the field has a callback that is called later. */
export function runsLater(kind: SpecialField["kind"]): boolean {
  return kind === "bpf_timer" || kind === "bpf_wq" || kind === "bpf_task_work";
}

export interface TimerHost {
  call(code: Code, address: number, args: readonly number[]): void;
  host(): Host;
}

/** bpf_timer, bpf_wq and bpf_task_work (kernel/bpf/helpers.c): by the address of the struct in its map's value. */
export class Timers {
  private readonly timers = new Map<number, Timer>();
  private readonly machine: TimerHost;

  constructor(machine: TimerHost) {
    this.machine = machine;
  }

  init(address: number, map: VmMap): number {
    if (this.timers.has(address)) return -errno.EBUSY;
    this.timers.set(address, { map, callback: null, cancel: null, busy: false });
    return 0;
  }

  /** Work that the task does as soon as the machine goes on, once (bpf_task_work_schedule). */
  startWork(address: number, { map, callback, at, scratch }: TaskWork): number {
    if (this.timers.get(address)?.busy) return -errno.EBUSY;
    const work: Timer = { map, callback, cancel: null, busy: true };
    this.timers.set(address, work);
    const started = this.start(address, at, scratch);
    work.busy = started === 0;
    return started;
  }

  setCallback(address: number, callback: { address: number; code: Code }): number {
    const timer = this.timers.get(address);
    if (timer === undefined) return -errno.EINVAL;
    timer.callback = callback;
    return 0;
  }

  /** `at`: nanoseconds of CLOCK_MONOTONIC. `scratch`: where the key is put for the callback. */
  start(address: number, at: bigint, scratch: number): number {
    const timer = this.timers.get(address);
    const { host } = this.machine;
    const schedule = host().schedule;
    if (timer === undefined || timer.callback === null) return -errno.EINVAL;
    if (schedule === undefined) return -errno.EOPNOTSUPP;
    timer.cancel?.();
    timer.cancel = schedule.call(host(), at, () => {
      timer.cancel = null;
      this.fire(address, timer, scratch);
      timer.busy = false;
    });
    return 0;
  }

  /** 1 where it was running, as hrtimer_cancel. */
  cancel(address: number): number {
    const timer = this.timers.get(address);
    if (timer === undefined) return -errno.EINVAL;
    if (timer.cancel === null) return 0;
    timer.cancel();
    timer.cancel = null;
    return 1;
  }

  /** Its value is gone. */
  end(address: number): void {
    this.timers.get(address)?.cancel?.();
    this.timers.delete(address);
  }

  private fire(address: number, timer: Timer, scratch: number): void {
    const { callback, map } = timer;
    if (callback === null) return;
    const offsets = map.fields.flatMap(({ kind, offset }) => (runsLater(kind) ? [offset] : []));
    // Without types it is what the value begins with.
    for (const offset of offsets.length === 0 ? [0] : offsets) {
      const key = keyOf(map, address - offset);
      if (key === null) continue;
      map.writeBytes(scratch, key);
      this.machine.call(callback.code, callback.address, [map.handle, scratch, address - offset]);
      return;
    }
  }
}

/** The key whose value stands there; null where it is gone. */
function keyOf(map: VmMap, value: number): Uint8Array | null {
  const seen = new Set<string>();
  for (const key of map.keys()) {
    if (seen.has(keyText(key))) continue;
    seen.add(keyText(key));
    if (map.lookup(key) === value) return key;
  }
  return null;
}
