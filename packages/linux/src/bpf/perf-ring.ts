import type { RingReader } from "@skep/machine";
import { MAP, Mapping, PAGE_SIZE, PROT, watchReadable, type Descriptor, type Watch } from "../sys/index.ts";
import { onlineCpus } from "./cpus.ts";
import { disablePerfEvent, enablePerfEvent, openOutput } from "./perf-event.ts";

// struct perf_event_mmap_page and perf_event_header, include/uapi/linux/perf_event.h.
const DATA_HEAD = 1024;
const DATA_TAIL = 1032;
const HEADER = 8;
const PERF_RECORD_LOST = 2;
const PERF_RECORD_SAMPLE = 9;
const CARRY = 0x1_0000_0000;

export interface PerfOptions {
  /** Bytes of each CPU's buffer, a power of two of at least a page. Default 64 KiB. */
  readonly bytes?: number;
  /** Wakes the reader every so many records. Default 1. */
  readonly wakeupEvents?: number;
  /** How many records a CPU could not write since the last one. */
  readonly onLost?: (count: number, cpu: number) => void;
}

export type OnPerfRecord = (record: Uint8Array, cpu: number) => void;

/** One CPU's buffer. */
class CpuRing {
  readonly cpu: number;
  readonly event: Descriptor;
  readonly #mapping: Mapping;
  readonly #positions: Uint32Array;
  readonly #tailWhole: BigUint64Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;

  constructor(cpu: number, bytes: number, wakeupEvents: number) {
    this.cpu = cpu;
    this.event = openOutput(cpu, wakeupEvents);
    try {
      this.#mapping = new Mapping({
        length: PAGE_SIZE + bytes,
        protection: PROT.READ | PROT.WRITE,
        flags: MAP.SHARED,
        descriptor: this.event,
      });
    } catch (error) {
      this.event.close();
      throw error;
    }
    this.#positions = new Uint32Array(this.#mapping.buffer, DATA_HEAD, 4);
    this.#tailWhole = new BigUint64Array(this.#mapping.buffer, DATA_TAIL, 1);
    this.#bytes = new Uint8Array(this.#mapping.buffer, PAGE_SIZE, bytes);
    this.#mask = bytes - 1;
  }

  /** `size` bytes at a position: a view, or a copy where they lie across the end. */
  #at(position: number, size: number): Uint8Array {
    const start = position & this.#mask;
    const first = this.#bytes.length - start;
    if (size <= first) return this.#bytes.subarray(start, start + size);
    const copy = new Uint8Array(size);
    copy.set(this.#bytes.subarray(start));
    copy.set(this.#bytes.subarray(0, size - first), first);
    return copy;
  }

  /** Calls `take` for each record until it says stop. */
  drain(take: (type: number, body: Uint8Array) => boolean): void {
    const tail = Atomics.load(this.#positions, 2);
    const available = (Atomics.load(this.#positions, 0) - tail) >>> 0;
    let passed = 0;
    try {
      while (passed < available) {
        const header = this.#at(tail + passed, HEADER);
        const view = new DataView(header.buffer, header.byteOffset);
        const size = view.getUint16(6, true);
        const body = this.#at(tail + passed + HEADER, size - HEADER);
        passed += size;
        if (!take(view.getUint32(0, true), body)) break;
      }
    } finally {
      this.#give(tail, passed);
    }
  }

  #give(tail: number, passed: number): void {
    if (passed === 0) return;
    if (tail + passed >= CARRY) Atomics.add(this.#tailWhole, 0, BigInt(passed));
    else Atomics.store(this.#positions, 2, tail + passed);
  }

  close(): void {
    this.#mapping.close();
    this.event.close();
  }
}

/**
 * Reads what programs write with `bpf_perf_event_output`: one buffer for each CPU that is online, in no order between them. A record
 * ends with up to seven bytes of padding: its length is that of the program's data rounded up, less four.
 */
export class PerfReader implements RingReader {
  readonly #rings: readonly CpuRing[];
  readonly #onRecord: OnPerfRecord;
  readonly #onLost: ((count: number, cpu: number) => void) | undefined;
  #watches: readonly Watch[] = [];
  #lost = 0;
  #isClosed = false;
  #isDraining = false;
  #isStopped = false;

  /** `put`: writes a CPU's event into the map. */
  constructor(put: (cpu: number, event: number) => void, onRecord: OnPerfRecord, options: PerfOptions = {}) {
    this.#onRecord = onRecord;
    this.#onLost = options.onLost;
    const bytes = options.bytes ?? 64 * 1024;
    if (bytes < PAGE_SIZE || (bytes & (bytes - 1)) !== 0) throw new RangeError(`${bytes} is no power of two of pages`);
    const rings: CpuRing[] = [];
    try {
      for (const cpu of onlineCpus()) {
        const ring = new CpuRing(cpu, bytes, options.wakeupEvents ?? 1);
        rings.push(ring);
        put(cpu, ring.event.fd);
        enablePerfEvent(ring.event);
      }
    } catch (error) {
      for (const ring of rings) ring.close();
      throw error;
    }
    this.#rings = rings;
  }

  /** Records that the kernel threw away because a buffer was full. */
  get lost(): number {
    return this.#lost;
  }

  drain(): number {
    if (this.#isClosed) throw new Error("use of a perf ring reader that is closed");
    if (this.#isDraining) throw new Error("drain called from a record's callback");
    this.#isDraining = true;
    this.#isStopped = false;
    let records = 0;
    try {
      for (const ring of this.#rings) {
        ring.drain((type, body) => {
          records += this.#take(ring.cpu, type, body);
          return !this.#isClosed && !this.#isStopped;
        });
        if (this.#isClosed || this.#isStopped) break;
      }
    } finally {
      this.#isDraining = false;
      if (this.#isClosed) this.#release();
    }
    return records;
  }

  #take(cpu: number, type: number, body: Uint8Array): number {
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    if (type === PERF_RECORD_LOST) {
      const count = Number(view.getBigUint64(8, true));
      this.#lost += count;
      this.#onLost?.(count, cpu);
    }
    if (type !== PERF_RECORD_SAMPLE) return 0;
    this.#onRecord(body.subarray(4, 4 + view.getUint32(0, true)), cpu);
    return 1;
  }

  start(): void {
    if (this.#isClosed) throw new Error("use of a perf ring reader that is closed");
    if (this.#watches.length > 0) return;
    this.#watches = this.#rings.map((ring) => watchReadable(ring.event, () => this.drain()));
  }

  stop(): void {
    this.#isStopped = true;
    for (const watch of this.#watches) watch.close();
    this.#watches = [];
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.stop();
    if (!this.#isDraining) this.#release();
  }

  /** The map drops an event when its descriptor closes (perf_event_fd_array_release). */
  #release(): void {
    for (const ring of this.#rings) {
      disablePerfEvent(ring.event);
      ring.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
