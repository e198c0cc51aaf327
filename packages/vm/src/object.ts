import type { Memory, Region } from "./memory.ts";

/**
 * A kernel object that programs see through a pointer: a socket (`struct bpf_sock`), a task, a cgroup, an inode, laid out as the BTF that
 * programs are relocated against says. The machine makes it with `vm.createObject`, keeps its bytes up to date, and closes it.
 */
export class KernelObject {
  /** The struct, such as `bpf_sock`, `task_struct`. */
  readonly kind: string;
  /** What a program's pointer to it holds. */
  readonly address: number;
  readonly size: number;
  private readonly memory: Memory;
  private readonly region: Region;
  /** References that programs hold. */
  private held = 0;
  private readonly onClose: Set<() => void> = new Set();

  constructor(memory: Memory, kind: string, bytes: Uint8Array) {
    this.memory = memory;
    this.kind = kind;
    this.size = bytes.length;
    this.region = memory.allocate("object", Math.max(1, bytes.length));
    this.address = this.region.base;
    this.region.writable = false;
    memory.bytes.set(bytes, this.address);
  }

  /** A copy. */
  read(): Uint8Array {
    return this.memory.bytes.slice(this.address, this.address + this.size);
  }

  write(offset: number, bytes: Uint8Array): void {
    if (offset < 0 || offset + bytes.length > this.size) throw new RangeError(`${this.kind}: offset ${offset}`);
    this.memory.bytes.set(bytes, this.address + offset);
  }

  /** How many references programs hold: taken by kernel functions such as bpf_task_acquire, kept in maps. */
  get references(): number {
    return this.held;
  }

  acquire(): void {
    this.held++;
  }

  /** Throws `RangeError` where none is held. */
  release(): void {
    if (this.held === 0) throw new RangeError(`${this.kind}: a reference that nobody holds`);
    this.held--;
  }

  /** Programs may store into it (struct_ops state). */
  allowWrites(): void {
    this.region.writable = true;
  }

  /** Storages let go of what they keep for the object. */
  whenClosed(run: () => void): void {
    this.onClose.add(run);
  }

  close(): void {
    for (const run of this.onClose) run();
    this.onClose.clear();
    this.memory.release(this.region);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
