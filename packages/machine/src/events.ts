/**
 * @module
 * Ring buffers as asynchronous iterables.
 */
import type { PlacedCodec, ValueCodec } from "./codec/codec.ts";
import type { RawMap, RingReader } from "./machine.ts";

export interface EventOptions {
  /** Decoded events that may wait for a slow consumer. Default 65,536. */
  readonly limit?: number;
  /** What happens beyond: `wait` leaves records in the ring until there is room, `drop` counts them as lost. Default `wait`. */
  readonly overflow?: "wait" | "drop";
}

/** A second consumer, or one after `close`. */
export class EventStreamError extends Error {
  override readonly name = "EventStreamError";
}

type Decode<T> = (record: Uint8Array) => T;

/**
 * Reads records where they lie. The view of the ring is kept from record to record, and let go with the reader: nothing here reads
 * it after.
 */
function decoder<T>(codec: ValueCodec<T> | PlacedCodec<T>): Decode<T> {
  if (!("read" in codec)) return (record) => codec.decode(record);
  let view: DataView = new DataView(new ArrayBuffer(0));
  return (record) => {
    if (record.length < codec.size)
      throw new RangeError(`an event has ${codec.size} bytes, the record ${record.length}`);
    if (view.buffer !== record.buffer) view = new DataView(record.buffer);
    return codec.read(view, record.byteOffset);
  };
}

/**
 * The events of one ring. One consumer at a time: `for await` over events or over `batches()`. Reading starts with the first step and
 * ends with the loop.
 */
export class EventStream<T> implements AsyncIterable<T> {
  readonly raw: RawMap;
  readonly #decode: Decode<T>;
  readonly #limit: number;
  readonly #drops: boolean;
  #reader: RingReader | null = null;
  #queue: T[] = [];
  #lost = 0;
  #isStopped = false;
  #isClosed = false;
  #failure: unknown = null;
  #wake: (() => void) | null = null;

  constructor(raw: RawMap, codec: ValueCodec<T>, options: EventOptions = {}) {
    this.raw = raw;
    this.#decode = decoder(codec);
    this.#limit = options.limit ?? 65_536;
    this.#drops = options.overflow === "drop";
  }

  /** Events that were thrown away because the consumer was slow. What the program could not put into a full ring it alone knows. */
  get lost(): number {
    return this.#lost;
  }

  async *[Symbol.asyncIterator](): AsyncIterator<T> {
    for await (const batch of this.batches()) {
      let at = 0;
      try {
        while (at < batch.length) yield batch[at++] as T;
      } finally {
        // A loop that was left in the middle: the next one goes on here.
        if (at < batch.length) this.#queue = [...batch.slice(at), ...this.#queue];
      }
    }
  }

  /** What has come since the last step, at least one event. Cheaper than single events. */
  async *batches(): AsyncIterableIterator<T[]> {
    this.#open();
    try {
      for (;;) {
        if (this.#queue.length === 0) this.#refill();
        if (this.#queue.length > 0) {
          const batch = this.#queue;
          this.#queue = [];
          yield batch;
          continue;
        }
        if (this.#failure !== null) throw this.#failure;
        if (this.#isClosed) return;
        await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.#release();
    }
  }

  /** Ends a running loop after what is decoded already. */
  close(): void {
    this.#isClosed = true;
    this.#release();
    this.#wakeUp();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #open(): void {
    if (this.#isClosed) throw new EventStreamError(`the events of ${this.raw.info.name} are closed`);
    if (this.#reader) throw new EventStreamError(`the events of ${this.raw.info.name} have a consumer`);
    this.#reader = this.raw.readRing((record) => this.#take(record));
    this.#isStopped = false;
    this.#reader.start();
  }

  #take(record: Uint8Array): void {
    // With `wait` the rest of one drain is taken beyond the limit: no more than the ring holds.
    const isFull = this.#queue.length >= this.#limit;
    const canWait = !this.#drops && this.#reader?.stop !== undefined;
    if (isFull && !canWait) {
      this.#lost++;
      return;
    }
    try {
      this.#queue.push(this.#decode(record));
    } catch (error) {
      this.#failure ??= error;
    }
    if (isFull && !this.#isStopped) this.#pause();
    this.#wakeUp();
  }

  #pause(): void {
    this.#isStopped = true;
    this.#reader?.stop?.();
  }

  #refill(): void {
    if (!this.#isStopped || !this.#reader) return;
    this.#isStopped = false;
    this.#reader.drain();
    if (!this.#isStopped) this.#reader.start();
  }

  #release(): void {
    this.#reader?.close();
    this.#reader = null;
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
