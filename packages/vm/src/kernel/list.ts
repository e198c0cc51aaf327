/**
 * @module
 * `struct bpf_list_head` (next, prev) and `struct bpf_list_node` (next, prev, owner) as the kernel lays them out: words of eight bytes.
 */
import type { Memory } from "../memory.ts";

const [NEXT, PREVIOUS, OWNER] = [0, 8, 16];

function word(memory: Memory, at: number): number {
  return memory.view.getUint32(at, true);
}

function put(memory: Memory, at: number, value: number): void {
  memory.view.setBigUint64(at, BigInt(value), true);
}

export const list = {
  /** The node is in no list. */
  isFree: (memory: Memory, node: number): boolean => word(memory, node + OWNER) === 0,
};

/** Zeros are an empty list. */
export class ListHead {
  private readonly memory: Memory;
  private readonly at: number;

  constructor(memory: Memory, at: number) {
    memory.check(at, 16, true);
    this.memory = memory;
    this.at = at;
    if (word(memory, at) === 0) this.link(at, at);
  }

  private link(before: number, behind: number): void {
    put(this.memory, before + NEXT, behind);
    put(this.memory, behind + PREVIOUS, before);
  }

  put(node: number, end: "front" | "back"): void {
    const { memory, at } = this;
    const before = end === "front" ? at : word(memory, at + PREVIOUS);
    const behind = word(memory, before + NEXT);
    this.link(before, node);
    this.link(node, behind);
    put(memory, node + OWNER, at);
  }

  /** The node at an end, which stays; 0 where the list is empty. */
  peek(end: "front" | "back"): number {
    const found = word(this.memory, this.at + (end === "front" ? NEXT : PREVIOUS));
    return found === this.at ? 0 : found;
  }

  take(end: "front" | "back"): number {
    const { memory } = this;
    const node = this.peek(end);
    if (node === 0) return 0;
    this.link(word(memory, node + PREVIOUS), word(memory, node + NEXT));
    this.link(node, node);
    put(memory, node + OWNER, 0);
    return node;
  }
}
