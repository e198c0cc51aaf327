import type { MapInfo } from "@skep/machine";
import { MAP, Mapping, PAGE_SIZE, PROT, watchWritable, type Descriptor } from "../sys/index.ts";

const HEADER = 8;
const BUSY = 0x8000_0000;
const CARRY = 0x1_0000_0000;

/**
 * Writes into a user ring buffer, which a program drains with `bpf_user_ringbuf_drain` (kernel/bpf/ringbuf.c). Records become
 * visible in the order in which they were written.
 */
export class UserRingWriter {
  readonly #descriptor: Descriptor;
  readonly #consumerPage: Mapping;
  readonly #producerPages: Mapping;
  readonly #consumer: Uint32Array;
  readonly #producer: Uint32Array;
  readonly #producerWhole: BigUint64Array;
  readonly #headers: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;
  #isClosed = false;

  constructor(map: Descriptor, info: MapInfo) {
    if (info.type !== "user_ringbuf") throw new TypeError(`map ${info.name} is no user ring buffer but ${info.type}`);
    const size = info.maxEntries;
    this.#descriptor = map.duplicate();
    let consumer: Mapping | null = null;
    try {
      const shared = { flags: MAP.SHARED, descriptor: this.#descriptor };
      consumer = new Mapping({ ...shared, length: PAGE_SIZE, protection: PROT.READ });
      this.#producerPages = new Mapping({
        ...shared,
        length: PAGE_SIZE + 2 * size,
        protection: PROT.READ | PROT.WRITE,
        offset: PAGE_SIZE,
      });
    } catch (error) {
      consumer?.close();
      this.#descriptor.close();
      throw error;
    }
    this.#consumerPage = consumer;
    const data = this.#producerPages.buffer;
    this.#consumer = new Uint32Array(consumer.buffer, 0, 2);
    this.#producer = new Uint32Array(data, 0, 2);
    this.#producerWhole = new BigUint64Array(data, 0, 1);
    this.#headers = new Uint32Array(data, PAGE_SIZE, (2 * size) / 4);
    this.#bytes = new Uint8Array(data, PAGE_SIZE, 2 * size);
    this.#mask = size - 1;
  }

  /** False where there is no room now. Throws RangeError for what never fits. */
  write(record: Uint8Array): boolean {
    if (this.#isClosed) throw new Error("use of a user ring writer that is closed");
    const size = this.#mask + 1;
    const total = ((record.byteLength + 7) & ~7) + HEADER;
    if (total > size) throw new RangeError(`a record of ${record.byteLength} bytes does not fit a ring of ${size}`);
    const position = Atomics.load(this.#producer, 0);
    const used = (position - Atomics.load(this.#consumer, 0)) >>> 0;
    if (used + total > size) return false;
    const at = position & this.#mask;
    // Busy until the record is whole: the consumer stops there.
    Atomics.store(this.#headers, at >>> 2, record.byteLength | BUSY);
    this.#headers[(at >>> 2) + 1] = 0;
    this.#bytes.set(record, at + HEADER);
    if (position + total >= CARRY) Atomics.add(this.#producerWhole, 0, BigInt(total));
    else Atomics.store(this.#producer, 0, position + total);
    Atomics.store(this.#headers, at >>> 2, record.byteLength);
    return true;
  }

  /** Writes when there is room. Resolves when it is written. */
  async send(record: Uint8Array): Promise<void> {
    while (!this.write(record)) await this.#room();
  }

  #room(): Promise<void> {
    return new Promise((resolve, reject) => {
      const watch = watchWritable(
        this.#descriptor,
        () => {
          watch.close();
          resolve();
        },
        reject,
      );
    });
  }

  /** Bytes that the program has not taken yet, headers included. */
  get pending(): number {
    if (this.#isClosed) return 0;
    return (Atomics.load(this.#producer, 0) - Atomics.load(this.#consumer, 0)) >>> 0;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#consumerPage.close();
    this.#producerPages.close();
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
