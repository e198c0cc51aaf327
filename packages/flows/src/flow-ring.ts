/**
 * @module
 * The ring of flows. Events lie in it as the words that the datapath wrote, with the wall's time in place of the monotonic one and the epoch of the
 * names that held; a record is made when it is asked for, and is the same each time. What comes as a message lies beside.
 */
import { EVENT_SIZE } from "@skep/datapath";
import type { FlowContext } from "./decode/context.ts";
import { KinTable } from "./decode/kin.ts";
import type { FlowRecord } from "./decode/record.ts";
import { DEFAULT_CAPACITY, Ring, type Sequence, type Timed } from "./ring.ts";

const WORDS = EVENT_SIZE / 4;
const CARRY = 0x1_0000_0000;
/** Records that stay made: who counts and who follows ask for the same ones shortly after each other. */
const MADE = 1024;
/** After so many events the clocks are compared again; and after each 4.3 s of the monotonic one. */
const CLOCK_EVENTS = 256;

/** Bytes of memory for each flow that is kept as an event. */
export const SLOT_BYTES = EVENT_SIZE + 4 + 8;

export interface FlowRingOptions {
  readonly capacity?: number;
  /** Gives names to events; without it only messages may come. */
  readonly context?: FlowContext;
}

export class FlowRing<T extends Timed> extends Ring<T | FlowRecord> {
  readonly #context: FlowContext | null;
  readonly #words: Uint32Array;
  readonly #view: DataView;
  readonly #epochs: Uint32Array;
  readonly #kin = new KinTable();
  readonly #made: { sequence: number; record: FlowRecord | null }[];
  /** The view of the datapath's ring that came last, and its words. */
  #from: ArrayBufferLike | null = null;
  #fromWords: Uint32Array = new Uint32Array(0);
  #offsetLow = 0;
  #offsetHigh = 0;
  #untilClock = 0;
  #clockHigh = -1;

  constructor({ capacity = DEFAULT_CAPACITY, context }: FlowRingOptions) {
    super(capacity);
    this.#context = context ?? null;
    const slots = context ? capacity : 0;
    this.#words = new Uint32Array(slots * WORDS);
    this.#view = new DataView(this.#words.buffer);
    this.#epochs = new Uint32Array(slots);
    this.#made = Array.from({ length: context ? Math.min(MADE, capacity) : 0 }, () => ({ sequence: -1, record: null }));
  }

  /** Memory of what was allocated for events. */
  get bytes(): number {
    return this.#words.byteLength + this.#epochs.byteLength + this.capacity * 8;
  }

  /** Takes the record of an event in, `EVENT_SIZE` bytes of the view. Nobody is woken: see {@link awake}. */
  putEvent(view: DataView, at: number): void {
    const slot = this.next % this.capacity;
    const start = view.byteOffset + at;
    const to = slot * WORDS;
    if (view.buffer !== this.#from) this.#open(view.buffer);
    const from = this.#fromWords;
    const words = this.#words;
    if ((start & 3) === 0)
      for (let word = 0, first = start >>> 2; word < WORDS; word++) words[to + word] = from[first + word]!;
    else for (let word = 0; word < WORDS; word++) words[to + word] = view.getUint32(at + word * 4, true);
    this.#setTime(to);
    this.#epochs[slot] = this.#context?.epoch ?? 0;
    this.put(undefined);
  }

  /** Wakes who waits for what was put. */
  awake(): void {
    this.wake();
  }

  #open(buffer: ArrayBufferLike): void {
    this.#from = buffer;
    this.#fromWords = new Uint32Array(buffer, 0, buffer.byteLength >>> 2);
  }

  #setTime(at: number): void {
    const words = this.#words;
    const high = words[at + 1]!;
    if (this.#untilClock-- <= 0 || high !== this.#clockHigh) this.#readClock(at);
    const low = words[at]! + this.#offsetLow;
    words[at] = low;
    words[at + 1] = high + this.#offsetHigh + (low >= CARRY ? 1 : 0);
  }

  #readClock(at: number): void {
    this.#untilClock = CLOCK_EVENTS;
    this.#clockHigh = this.#words[at + 1]!;
    const monotonic = this.#view.getBigUint64(at * 4, true);
    const offset = BigInt.asUintN(64, (this.#context?.wallTime(monotonic) ?? monotonic) - monotonic);
    this.#offsetLow = Number(offset & 0xffff_ffffn);
    this.#offsetHigh = Number(offset >> 32n);
  }

  override at(sequence: Sequence): T | FlowRecord | null {
    const entry = super.at(sequence);
    if (entry !== null || this.#context === null) return entry;
    if (sequence < this.oldest || sequence >= this.next) return null;
    const made = this.#made[sequence % this.#made.length]!;
    if (made.sequence !== sequence || made.record === null) {
      made.record = this.#make(sequence, this.#context);
      made.sequence = sequence;
    }
    return made.record;
  }

  #make(sequence: Sequence, now: FlowContext): FlowRecord {
    const slot = sequence % this.capacity;
    const epoch = this.#epochs[slot]!;
    const context = epoch === (now.epoch ?? 0) ? now : (now.during?.(epoch) ?? now);
    return this.#kin.record({ words: this.#words, at: slot * WORDS, sequence }, context, epoch);
  }
}
