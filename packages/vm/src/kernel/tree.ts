/**
 * @module
 * `struct bpf_rb_root` (root, leftmost) and `struct bpf_rb_node` (parent and colour, right, left, owner) as the kernel lays them out, balanced
 * as lib/rbtree.c does: programs may look at the shape (bpf_rbtree_root, left, right), and see which nodes are compared.
 */
import type { Memory } from "../memory.ts";

const [ROOT, LEFTMOST] = [0, 8];
const [PARENT, RIGHT, LEFT, OWNER] = [0, 8, 16, 24];
const BLACK = 1;

class Tree {
  private readonly memory: Memory;
  private readonly at: number;

  constructor(memory: Memory, at: number) {
    memory.check(at, 16, true);
    this.memory = memory;
    this.at = at;
  }

  private word(at: number): number {
    return this.memory.view.getUint32(at, true);
  }
  private put(at: number, value: number): void {
    this.memory.view.setBigUint64(at, BigInt(value), true);
  }

  get root(): number {
    return this.word(this.at + ROOT);
  }
  get leftmost(): number {
    return this.word(this.at + LEFTMOST);
  }
  left(node: number): number {
    return this.word(node + LEFT);
  }
  right(node: number): number {
    return this.word(node + RIGHT);
  }
  private parent(node: number): number {
    return this.word(node + PARENT) & ~3;
  }
  /** Leaves are black. */
  private isBlack(node: number): boolean {
    return node === 0 || (this.word(node + PARENT) & BLACK) !== 0;
  }
  private paint(node: number, black: boolean): void {
    if (node !== 0) this.put(node + PARENT, this.parent(node) + (black ? BLACK : 0));
  }
  private setParent(node: number, parent: number): void {
    this.put(node + PARENT, parent + (this.word(node + PARENT) & BLACK));
  }
  private child(node: number, side: number): number {
    return this.word(node + side);
  }

  /** In place of `node` its parent has `other`. */
  private replace(node: number, other: number): void {
    const parent = this.parent(node);
    if (parent === 0) this.put(this.at + ROOT, other);
    else this.put(parent + (this.left(parent) === node ? LEFT : RIGHT), other);
    if (other !== 0) this.setParent(other, parent);
  }

  /** The node goes down to `side`, its child of the other side takes its place. */
  private rotate(node: number, side: number): void {
    const other = side === LEFT ? RIGHT : LEFT;
    const up = this.child(node, other);
    const between = this.child(up, side);
    this.put(node + other, between);
    if (between !== 0) this.setParent(between, node);
    this.replace(node, up);
    this.put(up + side, node);
    this.setParent(node, up);
  }

  insert(node: number, less: (a: number, b: number) => boolean): void {
    let parent = 0;
    let side = LEFT;
    let first = true;
    for (let at = this.root; at !== 0; at = this.child(parent, side)) {
      parent = at;
      side = less(node, at) ? LEFT : RIGHT;
      if (side === RIGHT) first = false;
    }
    this.put(node + LEFT, 0);
    this.put(node + RIGHT, 0);
    this.put(node + PARENT, parent);
    this.put(parent === 0 ? this.at + ROOT : parent + side, node);
    if (first) this.put(this.at + LEFTMOST, node);
    this.put(node + OWNER, this.at);
    this.mendRed(node);
  }

  /** __rb_insert */
  private mendRed(added: number): void {
    let node = added;
    while (!this.isBlack(this.parent(node)) && this.parent(node) !== 0) {
      let parent = this.parent(node);
      const above = this.parent(parent);
      const side = this.left(above) === parent ? LEFT : RIGHT;
      const other = side === LEFT ? RIGHT : LEFT;
      const uncle = this.child(above, other);
      if (!this.isBlack(uncle)) {
        this.paint(uncle, true);
        this.paint(parent, true);
        this.paint(above, false);
        node = above;
        continue;
      }
      if (this.child(parent, other) === node) {
        this.rotate(parent, side);
        [node, parent] = [parent, node];
      }
      this.paint(parent, true);
      this.paint(above, false);
      this.rotate(above, other);
    }
    this.paint(this.root, true);
  }

  private next(node: number): number {
    let at = this.right(node);
    if (at !== 0) {
      while (this.left(at) !== 0) at = this.left(at);
      return at;
    }
    at = node;
    let up = this.parent(at);
    while (up !== 0 && this.right(up) === at) [at, up] = [up, this.parent(up)];
    return up;
  }

  remove(node: number): void {
    if (this.leftmost === node) this.put(this.at + LEFTMOST, this.next(node));
    let wasBlack = this.isBlack(node);
    let child;
    let parent;
    if (this.left(node) === 0 || this.right(node) === 0) {
      child = this.left(node) || this.right(node);
      parent = this.parent(node);
      this.replace(node, child);
    } else {
      const next = this.next(node);
      wasBlack = this.isBlack(next);
      child = this.right(next);
      parent = this.parent(next) === node ? next : this.parent(next);
      if (parent !== next) {
        this.replace(next, child);
        this.put(next + RIGHT, this.right(node));
        this.setParent(this.right(node), next);
      }
      this.replace(node, next);
      this.put(next + LEFT, this.left(node));
      this.setParent(this.left(node), next);
      this.paint(next, this.isBlack(node));
    }
    if (wasBlack) this.mendBlack(child, parent);
    for (const offset of [PARENT, RIGHT, LEFT, OWNER]) this.put(node + offset, 0);
  }

  /** ____rb_erase_color: the way through `node`, which may be a leaf, has one black node too few. */
  private mendBlack(short: number, above: number): void {
    let node = short;
    let parent = above;
    while (node !== this.root && this.isBlack(node) && parent !== 0) {
      const side = this.left(parent) === node ? LEFT : RIGHT;
      const other = side === LEFT ? RIGHT : LEFT;
      let sibling = this.child(parent, other);
      if (!this.isBlack(sibling)) {
        this.paint(sibling, true);
        this.paint(parent, false);
        this.rotate(parent, side);
        sibling = this.child(parent, other);
      }
      if (this.isBlack(this.child(sibling, LEFT)) && this.isBlack(this.child(sibling, RIGHT))) {
        this.paint(sibling, false);
        node = parent;
        parent = this.parent(node);
        continue;
      }
      if (this.isBlack(this.child(sibling, other))) {
        this.paint(this.child(sibling, side), true);
        this.paint(sibling, false);
        this.rotate(sibling, other);
        sibling = this.child(parent, other);
      }
      this.paint(sibling, this.isBlack(parent));
      this.paint(parent, true);
      this.paint(this.child(sibling, other), true);
      this.rotate(parent, side);
      node = this.root;
      break;
    }
    this.paint(node, true);
  }
}

export const tree = {
  /** The node is in no tree. */
  isFree: (memory: Memory, node: number): boolean => memory.view.getUint32(node + OWNER, true) === 0,
  /** The tree that a node is in; 0 where it is in none. */
  owner: (memory: Memory, node: number): number => memory.view.getUint32(node + OWNER, true),
  first: (memory: Memory, at: number): number => new Tree(memory, at).leftmost,
  root: (memory: Memory, at: number): number => new Tree(memory, at).root,
  left: (memory: Memory, at: number, node: number): number => new Tree(memory, at).left(node),
  right: (memory: Memory, at: number, node: number): number => new Tree(memory, at).right(node),
  insert(memory: Memory, at: number, what: { node: number; less: (a: number, b: number) => boolean }): void {
    new Tree(memory, at).insert(what.node, what.less);
  },
  remove(memory: Memory, at: number, node: number): void {
    new Tree(memory, at).remove(node);
  },
};
