/**
 * @module
 * The ring of agent events. Each lies in it as its message's bytes, one behind the other: a start tells of all services and addresses that there
 * are, and as objects they would be most of what an agent has in memory.
 */
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { flow } from "@skep/api";
import { DEFAULT_CAPACITY, Ring, type Sequence } from "./ring.ts";

export interface AgentEventRecord {
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly event: flow.AgentEvent;
}

/** Bytes of events that are kept; older ones go first, whatever their number. */
const MOST_BYTES = 2 << 20;
const BLOCK = 64 << 10;
/** Bytes of an event's time. */
const TIME = 8;

/** Events in a row. */
interface Block {
  readonly first: Sequence;
  readonly view: DataView;
  /** Where each begins; the next begins where one ends. */
  readonly starts: number[];
  end: number;
}

export class AgentEventRing extends Ring<AgentEventRecord> {
  #blocks: Block[] = [];
  #bytes = 0;

  constructor(capacity: number = DEFAULT_CAPACITY) {
    super(capacity);
  }

  override push({ time, event }: AgentEventRecord): void {
    const message = toBinary(flow.AgentEventSchema, event);
    const block = this.#blockFor(TIME + message.length);
    block.view.setBigUint64(block.end, time);
    new Uint8Array(block.view.buffer).set(message, block.end + TIME);
    block.starts.push(block.end);
    block.end += TIME + message.length;
    this.put(undefined);
    this.wake();
  }

  #blockFor(size: number): Block {
    const last = this.#blocks.at(-1);
    if (last && last.end + size <= last.view.byteLength) return last;
    const block = { first: this.next, view: new DataView(new ArrayBuffer(Math.max(BLOCK, size))), starts: [], end: 0 };
    this.#blocks.push(block);
    this.#bytes += block.view.byteLength;
    while (this.#blocks.length > 1 && (this.#bytes > MOST_BYTES || (this.#blocks[1]?.first ?? 0) <= super.oldest)) {
      this.#bytes -= this.#blocks[0]?.view.byteLength ?? 0;
      this.#blocks.shift();
    }
    return block;
  }

  override get oldest(): Sequence {
    return Math.max(super.oldest, this.#blocks[0]?.first ?? 0);
  }

  override at(sequence: Sequence): AgentEventRecord | null {
    if (sequence < this.oldest || sequence >= this.next) return null;
    const block = this.#blocks.findLast(({ first }) => first <= sequence);
    const start = block?.starts[sequence - block.first];
    if (!block || start === undefined) return null;
    const end = block.starts[sequence - block.first + 1] ?? block.end;
    const message = new Uint8Array(block.view.buffer, start + TIME, end - start - TIME);
    return { time: block.view.getBigUint64(start), event: fromBinary(flow.AgentEventSchema, message) };
  }
}
