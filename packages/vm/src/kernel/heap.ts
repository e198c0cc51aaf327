import type { Memory } from "../memory.ts";
import { errno } from "../error.ts";
import type { SpecialField } from "../maps/map.ts";
import { Slab } from "../maps/slab.ts";
import { ListHead, list } from "./list.ts";
import { tree } from "./tree.ts";

/** A type of the program's that objects are made of. */
export interface ObjectType {
  readonly size: number;
  readonly fields: readonly SpecialField[];
  /** One for each CPU. */
  readonly perCpu: boolean;
}

/** What holds a reference to something that is not of this heap (tasks, cgroups, CPU masks) lets go of it. */
export type LetGo = (address: number) => void;

/** Objects that programs make (bpf_obj_new, kernel/bpf/helpers.c), with what their special fields hold. */
export class Heap {
  private readonly memory: Memory;
  private readonly cpus: number;
  private readonly letGo: LetGo;
  private readonly slabs = new Map<string, Slab>();
  private readonly live = new Map<number, ObjectType>();

  constructor(memory: Memory, options: { readonly cpus: number; readonly letGo: LetGo }) {
    this.memory = memory;
    this.cpus = options.cpus;
    this.letGo = options.letGo;
  }

  /** Objects that are there. */
  get size(): number {
    return this.live.size;
  }

  has(address: number): boolean {
    return this.live.has(address);
  }

  make(type: ObjectType): number {
    const address = this.slabOf(type).take();
    const { bytes, u32 } = this.memory;
    bytes.fill(0, address, address + Math.max(8, type.size) * (type.perCpu ? this.cpus : 1));
    for (const { kind, offset } of type.fields) if (kind === "bpf_refcount") u32[(address + offset) >>> 2] = 1;
    this.live.set(address, type);
    return address;
  }

  private slabOf(type: ObjectType): Slab {
    const cpus = type.perCpu ? this.cpus : 1;
    const key = `${type.size} ${cpus}`;
    const known = this.slabs.get(key) ?? new Slab(this.memory, { valueSize: type.size, cpus });
    this.slabs.set(key, known);
    return known;
  }

  /** The object that an address is in; 0 where it is in none. */
  holding(address: number): number {
    const region = this.memory.regionAt(address);
    if (region === null || region.stride === 0) return 0;
    const start = address - ((address - region.base) % region.stride);
    return this.live.has(start) ? start : 0;
  }

  /** The copy of a CPU. */
  ofCpu(address: number, cpu: number): number {
    const type = this.live.get(address);
    return type?.perCpu === true ? address + cpu * this.slabOf(type).stride : address;
  }

  private countOf(address: number): number | null {
    const field = this.live.get(address)?.fields.find(({ kind }) => kind === "bpf_refcount");
    return field === undefined ? null : (address + field.offset) >>> 2;
  }

  /** bpf_refcount_acquire: false where nobody holds it any more. */
  acquire(address: number): boolean {
    const at = this.countOf(address);
    const { u32 } = this.memory;
    if (at === null || (u32[at] ?? 0) === 0) return false;
    u32[at] = (u32[at] ?? 0) + 1;
    return true;
  }

  /** bpf_obj_drop: with its last reference the object is gone, and what it holds is dropped. */
  drop(address: number): void {
    const type = this.live.get(address);
    if (type === undefined) return;
    const at = this.countOf(address);
    const { u32 } = this.memory;
    if (at !== null && (u32[at] = (u32[at] ?? 0) - 1) > 0) return;
    this.live.delete(address);
    this.empty(address, type.fields);
    this.slabOf(type).give(address);
  }

  /** What a pointer held is let go of. */
  release(address: number): void {
    if (address === 0) return;
    if (this.live.has(address)) this.drop(address);
    else this.letGo(address);
  }

  /** bpf_obj_free_fields: of a value, or of an object that is dropped. */
  empty(address: number, fields: readonly SpecialField[]): void {
    const { memory } = this;
    for (const { kind, offset } of fields) {
      const at = address + offset;
      if (kind === "kptr") {
        const held = memory.view.getUint32(at, true);
        memory.view.setBigUint64(at, 0n, true);
        this.release(held);
      } else if (kind === "bpf_list_head") {
        const head = new ListHead(memory, at);
        for (let node = head.take("front"); node !== 0; node = head.take("front")) this.drop(this.holding(node));
      } else if (kind === "bpf_rb_root") {
        for (let node = tree.first(memory, at); node !== 0; node = tree.first(memory, at)) {
          tree.remove(memory, at, node);
          this.drop(this.holding(node));
        }
      }
    }
  }

  /** bpf_list_push_front, bpf_list_push_back: a node that is in a list already is dropped (EINVAL). */
  push(head: number, node: number, end: "front" | "back"): number {
    if (!list.isFree(this.memory, node)) return this.refuse(node);
    new ListHead(this.memory, head).put(node, end);
    return 0;
  }

  /** bpf_rbtree_add. `less`: calls the program. */
  insert(root: number, node: number, less: (a: number, b: number) => boolean): number {
    if (!tree.isFree(this.memory, node)) return this.refuse(node);
    tree.insert(this.memory, root, { node, less });
    return 0;
  }

  private refuse(node: number): number {
    this.drop(this.holding(node));
    return -errno.EINVAL;
  }
}
