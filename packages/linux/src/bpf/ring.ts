import type { MapInfo, OnRecordInPlace, RingReader } from "@skep/machine";
import { MAP, Mapping, PAGE_SIZE, PROT, watchReadable, type Descriptor, type Watch } from "../sys/index.ts";

// Header of a record: length with two flags, page offset (struct bpf_ringbuf_hdr, kernel/bpf/ringbuf.c).
const HEADER = 8;
const BUSY = 0x8000_0000;
const DISCARDED = 0x4000_0000;
const LENGTH = 0x3fff_ffff;
const CARRY = 0x1_0000_0000;
/** Bytes of data that are mapped at a time. A ring that is mapped as a whole counts as the process's memory twice. */
const WINDOW = 512 << 10;

/**
 * Reads a BPF ring buffer through a window that moves with the consumer. The kernel gives the data pages twice in a row, so no record wraps. The
 * consumer's position is a counter of 64 bits of which only the low half changes, but for one step in four gigabytes.
 */
export class LinuxRingReader implements RingReader {
  readonly #descriptor: Descriptor;
  readonly #consumerPage: Mapping;
  readonly #producerPage: Mapping;
  #window: Mapping | null = null;
  /** Where in the data the window begins. */
  #windowAt = 0;
  readonly #consumer: Uint32Array;
  readonly #consumerWhole: BigUint64Array;
  readonly #producer: Uint32Array;
  #headers = new Uint32Array(0);
  #view = new DataView(new ArrayBuffer(0));
  readonly #mask: number;
  readonly #onRecord: OnRecordInPlace;
  #watch: Watch | null = null;
  #isDraining = false;
  #isClosed = false;
  #isStopped = false;
  #rest: NodeJS.Timeout | null = null;

  constructor(map: Descriptor, info: MapInfo, onRecord: OnRecordInPlace) {
    if (info.type !== "ringbuf") throw new TypeError(`map ${info.name} is no ring buffer but ${info.type}`);
    const size = info.maxEntries;
    // A descriptor of its own: the event loop watches each number once, and the map may be closed first.
    this.#descriptor = map.duplicate();
    try {
      const shared = { flags: MAP.SHARED, descriptor: this.#descriptor };
      this.#consumerPage = new Mapping({ ...shared, length: PAGE_SIZE, protection: PROT.READ | PROT.WRITE });
      const producer = { length: PAGE_SIZE, protection: PROT.READ, offset: PAGE_SIZE };
      this.#producerPage = this.#mapProducer(() => new Mapping({ ...shared, ...producer }));
    } catch (error) {
      this.#descriptor.close();
      throw error;
    }
    this.#consumer = new Uint32Array(this.#consumerPage.buffer, 0, 2);
    this.#consumerWhole = new BigUint64Array(this.#consumerPage.buffer, 0, 1);
    this.#producer = new Uint32Array(this.#producerPage.buffer, 0, 2);
    this.#mask = size - 1;
    this.#onRecord = onRecord;
  }

  #mapProducer(map: () => Mapping): Mapping {
    try {
      return map();
    } catch (error) {
      this.#consumerPage.close();
      throw error;
    }
  }

  drain(): number {
    if (this.#isClosed) throw new Error("use of a ring buffer reader that is closed");
    if (this.#isDraining) throw new Error("drain called from a record's callback");
    this.#isDraining = true;
    this.#isStopped = false;
    try {
      return this.#walk();
    } finally {
      this.#isDraining = false;
      if (this.#isClosed) this.#unmap();
    }
  }

  /** What was produced when it began: a fast producer does not keep it for ever. */
  #walk(): number {
    const onRecord = this.#onRecord;
    const mask = this.#mask;
    const start = Atomics.load(this.#consumer, 0);
    const available = (Atomics.load(this.#producer, 0) - start) >>> 0;
    // Room is given back in steps: every store makes the producer's next load miss its cache.
    const step = (mask + 1) >>> 3;
    let passed = 0;
    let given = 0;
    let records = 0;
    try {
      while (passed < available && !this.#isClosed && !this.#isStopped) {
        let at = ((start + passed) & mask) - this.#windowAt;
        if (at < 0 || at + HEADER > this.#view.byteLength) at = this.#moveWindow(at + this.#windowAt, HEADER);
        const header = Atomics.load(this.#headers, at >>> 2);
        if (header >= BUSY) break;
        const length = header & LENGTH;
        passed += ((length + 7) & ~7) + HEADER;
        if ((header & DISCARDED) !== 0) continue;
        if (at + HEADER + length > this.#view.byteLength) at = this.#moveWindow(at + this.#windowAt, HEADER + length);
        records++;
        onRecord(this.#view, at + HEADER, length);
        if (passed - given >= step) {
          this.#give(start, given, passed);
          given = passed;
        }
      }
    } finally {
      if (passed !== given) this.#give(start, given, passed);
    }
    return records;
  }

  /** To the page of a place in the data, of which so many bytes are to be seen. The place in the window. */
  #moveWindow(place: number, bytes: number): number {
    const whole = 2 * (this.#mask + 1);
    const from = whole <= WINDOW ? 0 : place - (place % PAGE_SIZE);
    const needed = Math.ceil((place - from + bytes) / PAGE_SIZE) * PAGE_SIZE;
    const length = Math.min(whole - from, Math.max(WINDOW, needed));
    const offset = 2 * PAGE_SIZE + from;
    this.#window?.close();
    this.#window = null;
    const shared = { flags: MAP.SHARED, descriptor: this.#descriptor };
    this.#window = new Mapping({ ...shared, length, protection: PROT.READ, offset });
    this.#windowAt = from;
    this.#headers = new Uint32Array(this.#window.buffer);
    this.#view = new DataView(this.#window.buffer);
    return place - from;
  }

  /** Moves the consumer's position from `start + from` to `start + to`. */
  #give(start: number, from: number, to: number): void {
    const low = (start + from) % CARRY;
    const next = low + (to - from);
    // Half a counter written would look like a position behind or ahead by four gigabytes.
    if (next >= CARRY) Atomics.add(this.#consumerWhole, 0, BigInt(to - from));
    else Atomics.store(this.#consumer, 0, next);
  }

  start({ restMs }: { readonly restMs?: number } = {}): void {
    if (this.#isClosed) throw new Error("use of a ring buffer reader that is closed");
    this.#watch ??= watchReadable(this.#descriptor, () => {
      if (restMs !== undefined) this.#readRest(restMs);
      this.drain();
    });
    if (restMs !== undefined) this.#readRest(restMs);
  }

  #readRest(restMs: number): void {
    if (this.#rest) clearTimeout(this.#rest);
    this.#rest = setTimeout(() => {
      this.#rest = null;
      this.drain();
    }, restMs);
  }

  /** Ends a running `drain` as well: what is not read stays in the ring. */
  stop(): void {
    this.#isStopped = true;
    this.#watch?.close();
    this.#watch = null;
    if (this.#rest) clearTimeout(this.#rest);
    this.#rest = null;
  }

  /** Lets the process end although the reader is started. */
  unref(): void {
    this.#watch?.unref();
  }

  /** Bytes that wait. */
  get pending(): number {
    if (this.#isClosed) return 0;
    return (Atomics.load(this.#producer, 0) - Atomics.load(this.#consumer, 0)) >>> 0;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.stop();
    if (!this.#isDraining) this.#unmap();
  }

  #unmap(): void {
    this.#consumerPage.close();
    this.#producerPage.close();
    this.#window?.close();
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
