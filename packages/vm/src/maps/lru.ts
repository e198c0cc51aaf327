/**
 * @module
 * Which element of an LRU map goes (kernel/bpf/bpf_lru_list.c, 6.18): an active and an inactive list, and per CPU a list of fresh elements and
 * one of free ones that is filled in batches. Elements are evicted when a batch is taken, not one by one.
 */

const LOCAL_FREE_TARGET = 128;
const PERCPU_FREE_TARGET = 4;

type ListName = "active" | "inactive" | "free" | "localFree" | "localPending";

/** An element's place in the lists. `at`: the table's node, 0 while it is free. */
export class LruNode {
  at = 0;
  list: ListName = "free";
  cpu = 0;
  previous: LruNode = this;
  next: LruNode = this;
}

/** A ring with a head, as the kernel's lists are. */
class List {
  readonly head = new LruNode();
  count = 0;

  get isEmpty(): boolean {
    return this.head.next === this.head;
  }
  get first(): LruNode | null {
    return this.isEmpty ? null : this.head.next;
  }
}

function unlink(entry: LruNode): void {
  entry.previous.next = entry.next;
  entry.next.previous = entry.previous;
}

function link(entry: LruNode, list: List): void {
  entry.next = list.head.next;
  entry.previous = list.head;
  list.head.next.previous = entry;
  list.head.next = entry;
}

export interface LruOwner {
  isUsed(at: number): boolean;
  setUsed(at: number, used: boolean): void;
  /** Takes the element out of the table. */
  evict(at: number): void;
}

/** Elements that were never used are made when they are first asked for: they lie behind those that were given back. */
class FreeList extends List {
  private readonly cpu: number;
  /** How many were not made yet. */
  private unmade: number;

  constructor(unmade: number, cpu: number) {
    super();
    this.unmade = unmade;
    this.cpu = cpu;
  }

  override get isEmpty(): boolean {
    return super.isEmpty && this.unmade === 0;
  }

  override get first(): LruNode | null {
    if (super.isEmpty && this.unmade > 0) {
      this.unmade--;
      const entry = new LruNode();
      entry.cpu = this.cpu;
      link(entry, this);
    }
    return super.first;
  }
}

/** One set of active, inactive and free elements. */
class LruLists {
  readonly active = new List();
  readonly inactive = new List();
  readonly free: FreeList;
  rotation: LruNode = this.inactive.head;
  private readonly owner: LruOwner;
  private readonly scans: number;

  /** `free`: elements that it has, which are this CPU's. */
  constructor(owner: LruOwner, scans: number, { free, cpu }: { readonly free: number; readonly cpu: number }) {
    this.owner = owner;
    this.scans = scans;
    this.free = new FreeList(free, cpu);
  }

  private leave(entry: LruNode): void {
    if (this.rotation === entry) this.rotation = entry.previous;
    if (entry.list === "active") this.active.count--;
    if (entry.list === "inactive") this.inactive.count--;
    unlink(entry);
  }

  /** __bpf_lru_node_move and __bpf_lru_node_move_in. */
  move(entry: LruNode, to: "active" | "inactive" | "free"): void {
    this.leave(entry);
    entry.list = to;
    if (entry.at !== 0) this.owner.setUsed(entry.at, false);
    this[to].count++;
    link(entry, this[to]);
  }

  /** __bpf_lru_node_move_to_free */
  moveToFree(entry: LruNode, list: List, name: ListName): void {
    this.leave(entry);
    entry.list = name;
    link(entry, list);
  }

  rotate(): void {
    if (this.inactive.count < this.active.count) this.rotateActive();
    this.rotateInactive();
  }

  private rotateActive(): void {
    const first = this.active.first;
    let entry = this.active.head.previous;
    for (let i = 0; entry !== this.active.head;) {
      const { previous } = entry;
      this.move(entry, this.owner.isUsed(entry.at) ? "active" : "inactive");
      if (++i === this.scans || entry === first) return;
      entry = previous;
    }
  }

  private rotateInactive(): void {
    const { head } = this.inactive;
    if (this.inactive.isEmpty) return;
    let last = this.rotation.next;
    if (last === head) last = last.next;
    let current = this.rotation;
    let next = head;
    for (let i = 0; i < this.scans;) {
      if (current === head) {
        current = current.previous;
        continue;
      }
      next = current.previous;
      if (this.owner.isUsed(current.at)) this.move(current, "active");
      if (current === last) break;
      current = next;
      i++;
    }
    this.rotation = next;
  }

  /** __bpf_lru_list_shrink */
  shrink(wanted: number, list: List, name: ListName): void {
    let shrunk = 0;
    let entry = this.inactive.head.previous;
    for (let i = 0; entry !== this.inactive.head;) {
      const { previous } = entry;
      if (this.owner.isUsed(entry.at)) this.move(entry, "active");
      else {
        this.evictTo(entry, list, name);
        if (++shrunk === wanted) break;
      }
      if (++i === this.scans) break;
      entry = previous;
    }
    if (shrunk > 0) return;
    const victim = this.inactive.isEmpty ? this.active.head.previous : this.inactive.head.previous;
    if (victim.at !== 0) this.evictTo(victim, list, name);
  }

  private evictTo(entry: LruNode, list: List, name: ListName): void {
    this.owner.evict(entry.at);
    entry.at = 0;
    this.moveToFree(entry, list, name);
  }
}

/** The elements of one LRU map. */
export class Lru {
  private readonly owner: LruOwner;
  private readonly common: boolean;
  private readonly shared: LruLists;
  private readonly perCpu: LruLists[] = [];
  private readonly locals: { readonly free: List; readonly pending: List }[] = [];
  private readonly target: number;
  private readonly nodes = new Map<number, LruNode>();
  /** By CPU: from whom to steal next. */
  private readonly stealNext: number[] = [];

  /** `common`: one list for all CPUs (no BPF_F_NO_COMMON_LRU). */
  constructor(owner: LruOwner, shape: { entries: number; cpus: number; common: boolean }) {
    const { entries, cpus, common } = shape;
    this.owner = owner;
    this.common = common;
    this.target = Math.min(LOCAL_FREE_TARGET, Math.max(1, Math.floor(Math.floor(entries / cpus) / 2)));
    // Per CPU each list gets an equal share.
    this.shared = new LruLists(owner, LOCAL_FREE_TARGET, { free: common ? entries : 0, cpu: 0 });
    for (let cpu = 0; cpu < cpus; cpu++) {
      this.locals.push({ free: new List(), pending: new List() });
      this.stealNext.push(cpu);
      const free = common ? 0 : Math.ceil(entries / cpus);
      this.perCpu.push(new LruLists(owner, PERCPU_FREE_TARGET, { free, cpu }));
    }
  }

  private listsOf(entry: LruNode): LruLists {
    return this.common ? this.shared : (this.perCpu[entry.cpu] ?? this.shared);
  }

  /** A place for a new element; null where none can be had. Others may be evicted. */
  take(cpu: number): LruNode | null {
    return this.common ? this.takeCommon(cpu) : this.takeOwn(cpu);
  }

  /** The element of the table's node that was given a place. */
  bind(entry: LruNode, at: number): void {
    entry.at = at;
    this.nodes.set(at, entry);
  }

  /** bpf_lru_push_free: the element is gone. */
  give(at: number): void {
    const entry = this.nodes.get(at);
    if (entry === undefined) return;
    this.nodes.delete(at);
    this.giveNode(entry);
  }

  giveNode(entry: LruNode): void {
    entry.at = 0;
    const local = this.locals[entry.cpu];
    if (this.common && entry.list === "localPending" && local !== undefined) {
      unlink(entry);
      entry.list = "localFree";
      link(entry, local.free);
    } else this.listsOf(entry).move(entry, "free");
  }

  /** The table's node is gone by eviction. */
  forget(at: number): void {
    this.nodes.delete(at);
  }

  /** bpf_common_lru_pop_free */
  private takeCommon(cpu: number): LruNode | null {
    const local = this.locals[cpu];
    if (local === undefined) return null;
    if (local.free.isEmpty) this.fill(local);
    const entry = local.free.first ?? this.steal(cpu);
    if (entry === null) return null;
    unlink(entry);
    entry.list = "localPending";
    entry.cpu = cpu;
    link(entry, local.pending);
    return entry;
  }

  /** bpf_lru_list_pop_free_to_local */
  private fill(local: { readonly free: List; readonly pending: List }): void {
    const { shared } = this;
    for (let entry = local.pending.head.previous; entry !== local.pending.head;) {
      const { previous } = entry;
      shared.move(entry, this.owner.isUsed(entry.at) ? "active" : "inactive");
      entry = previous;
    }
    shared.rotate();
    let got = 0;
    for (let entry = shared.free.first; entry !== null && got < this.target; entry = shared.free.first) {
      shared.moveToFree(entry, local.free, "localFree");
      got++;
    }
    if (got < this.target) shared.shrink(this.target - got, local.free, "localFree");
  }

  /** Another CPU's free element, or one of its fresh ones. */
  private steal(cpu: number): LruNode | null {
    for (let i = 0; i < this.locals.length; i++) {
      const victim = ((this.stealNext[cpu] ?? 0) + i) % this.locals.length;
      const local = this.locals[victim];
      if (local === undefined) continue;
      const entry = local.free.first ?? this.popPending(local.pending);
      if (entry === null) continue;
      this.stealNext[cpu] = victim;
      entry.cpu = cpu;
      return entry;
    }
    return null;
  }

  private popPending(pending: List): LruNode | null {
    for (const force of [false, true]) {
      for (let entry = pending.head.previous; entry !== pending.head; entry = entry.previous) {
        if (!force && this.owner.isUsed(entry.at)) continue;
        this.owner.evict(entry.at);
        entry.at = 0;
        return entry;
      }
    }
    return null;
  }

  /** bpf_percpu_lru_pop_free */
  private takeOwn(cpu: number): LruNode | null {
    const lists = this.perCpu[cpu];
    if (lists === undefined) return null;
    lists.rotate();
    if (lists.free.isEmpty) lists.shrink(PERCPU_FREE_TARGET, lists.free, "free");
    const entry = lists.free.first;
    if (entry !== null) lists.move(entry, "inactive");
    return entry;
  }
}
