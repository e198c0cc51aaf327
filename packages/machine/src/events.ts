/**
 * @module
 * Ring buffers as asynchronous iterables.
 */
import type { PlacedCodec, ValueCodec } from "./codec/codec.ts";
import {
  type FieldPath,
  type FieldReader,
  fieldReader,
  type FieldValue,
  numberReader,
  type WidePath,
} from "./codec/fields.ts";
import type { Shape } from "./codec/shape.ts";
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

type Decode<T> = (view: DataView, at: number, length: number) => T;

/** Reads records where they lie. */
function decoder<T>(codec: ValueCodec<T> | PlacedCodec<T>): Decode<T> {
  if (!("read" in codec))
    return (view, at, length) => codec.decode(new Uint8Array(view.buffer, view.byteOffset + at, length));
  const { size } = codec;
  return (view, at, length) => {
    if (length < size) tooShort(size, length);
    return codec.read(view, at);
  };
}

function tooShort(size: number, length: number): never {
  throw new RangeError(`an event has ${size} bytes, the record ${length}`);
}

/**
 * The events of one ring. One consumer at a time: `for await` over events or over `batches()`. Reading starts with the first step and
 * ends with the loop.
 */
export class EventStream<T> implements AsyncIterable<T> {
  readonly raw: RawMap;
  readonly #codec: ValueCodec<T> | PlacedCodec<T>;
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
    this.#codec = codec;
    this.#decode = decoder(codec);
    this.#limit = options.limit ?? 65_536;
    this.#drops = options.overflow === "drop";
  }

  /**
   * Events that were thrown away because the consumer was slow; of perf event arrays also those that the kernel could not write. What a
   * program could not put into a full ring it alone knows.
   */
  get lost(): number {
    return this.#lost + (this.#reader?.lost ?? 0);
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

  /**
   * A reader that hands events to `onEvent` where they lie, in place of a loop: nothing is made for an event. `field` gives what reads
   * the fields. The reader is the stream's consumer until it is closed; a record that is too short throws RangeError from `drain`. Events
   * that a loop took from the ring before it was left are the next loop's.
   */
  inPlace(onEvent: (view: DataView, at: number) => void): RingReader {
    this.#mustBeFree();
    const { size } = this.#codec;
    const reader = this.raw.readRingInPlace((view, at, length) => {
      if (length < size) tooShort(size, length);
      onEvent(view, at);
    });
    this.#reader = reader;
    return {
      drain: () => reader.drain(),
      start: (options) => reader.start(options),
      ...(reader.stop ? { stop: () => reader.stop?.() } : {}),
      close: () => {
        if (this.#reader === reader) this.#release();
        else reader.close();
      },
    };
  }

  /** Reads one field of an event that lies somewhere: `field("key.port")`. Throws `ShapeError` where there is none. */
  field<P extends FieldPath<T>>(path: P): FieldReader<FieldValue<T, P>> {
    return fieldReader(this.#shape(), path) as FieldReader<FieldValue<T, P>>;
  }

  /** As `field`, of 64 bits as a number: exact up to 2^53, and without a bigint for each event. */
  numberField(path: WidePath<T>): FieldReader<number> {
    return numberReader(this.#shape(), path);
  }

  #shape(): Shape {
    if ("shape" in this.#codec) return this.#codec.shape;
    throw new TypeError(`the object has no type for the events of ${this.raw.info.name}`);
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

  #mustBeFree(): void {
    if (this.#isClosed) throw new EventStreamError(`the events of ${this.raw.info.name} are closed`);
    if (this.#reader) throw new EventStreamError(`the events of ${this.raw.info.name} have a consumer`);
  }

  #open(): void {
    this.#mustBeFree();
    this.#reader = this.raw.readRingInPlace((view, at, length) => this.#take(view, at, length));
    this.#isStopped = false;
    this.#reader.start();
  }

  #take(view: DataView, at: number, length: number): void {
    // With `wait` the rest of one drain is taken beyond the limit: no more than the ring holds.
    const isFull = this.#queue.length >= this.#limit;
    const canWait = !this.#drops && this.#reader?.stop !== undefined;
    if (isFull && !canWait) {
      this.#lost++;
      return;
    }
    try {
      this.#queue.push(this.#decode(view, at, length));
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
    this.#lost += this.#reader?.lost ?? 0;
    this.#reader?.close();
    this.#reader = null;
  }

  #wakeUp(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
