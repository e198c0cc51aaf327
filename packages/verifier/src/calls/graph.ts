/**
 * @module
 * Lists and trees of the program's own objects: who owns a node, under which lock (process_kf_arg_ptr_to_list_node and its kin,
 * kernel/bpf/verifier.c).
 */
import type { Env } from "../env.ts";
import { describeReg } from "../explain/describe.ts";
import { ownTypesOf } from "../memory/kernel-object.ts";
import { specialFields } from "../program/maps.ts";
import type { SpecialField } from "../program/maps.ts";
import { UNKNOWN, flag, kind, pointer } from "../register.ts";
import type { Reg } from "../register.ts";
import { mapRegs } from "../state.ts";
import { acquire, forgetReference } from "./references.ts";

/** Heads, roots and nodes: what a parameter of this struct is. */
export const graphStructs: Readonly<Record<string, SpecialField["kind"]>> = {
  bpf_list_head: "list_head",
  bpf_rb_root: "rb_root",
  bpf_list_node: "list_node",
  bpf_rb_node: "rb_node",
};

/** Functions that take a node which the program does not own any more. */
const takesShared = new Set(["bpf_rbtree_remove", "bpf_rbtree_left", "bpf_rbtree_right"]);
const givesOwned = new Set(["bpf_list_pop_front", "bpf_list_pop_back", "bpf_rbtree_remove"]);
const givesShared = new Set([
  "bpf_rbtree_first",
  "bpf_rbtree_root",
  "bpf_rbtree_left",
  "bpf_rbtree_right",
  "bpf_list_front",
  "bpf_list_back",
]);

export function isGraphFunction(name: string): boolean {
  return /^bpf_(list|rbtree)_/.test(name);
}

/** Special fields of what a register points to: of a map's value, or of an object that the program made. */
export function fieldsBehind(env: Env, reg: Reg): readonly SpecialField[] {
  if (reg.kind === kind.mapValue) return reg.map?.fields ?? [];
  if (reg.kind !== kind.btf || !reg.ownType) return [];
  const types = ownTypesOf(env);
  return types === null ? [] : specialFields(types.view, reg.typeId);
}

/** The field of this kind that the register points to. */
export function fieldAt(env: Env, reg: Reg, wanted: SpecialField["kind"]): SpecialField | null {
  if (!reg.isConst) return null;
  const at = reg.off + reg.vl;
  return fieldsBehind(env, reg).find((each) => each.offset === at && each.kind === wanted) ?? null;
}

/** What a lock or a head belongs to: the map, or the type of the object. */
export function ownerOf(reg: Reg): unknown {
  return reg.kind === kind.mapValue ? reg.map : `object ${reg.typeId}`;
}

/** The lock of the same value must be held. */
function checkLocked(env: Env, reg: Reg, name: string): void {
  const held = env.state.references.findLast((each) => each.kind === "lock" || each.kind === "res-lock");
  if (held === undefined || held.owner !== ownerOf(reg) || held.lockId !== reg.id)
    env.refuse("lock-held", `the lock beside the list or tree must be held for ${name}`);
}

/** A list's head or a tree's root; what it holds. */
export function checkRoot(env: Env, register: number, what: { readonly name: string; readonly struct: string }) {
  const reg = env.read(register);
  const wanted = graphStructs[what.struct] ?? "list_head";
  const field = fieldAt(env, reg, wanted);
  if (field === null) {
    env.refuse("argument-type", `r${register} is ${describeReg(reg)}; ${what.name} wants a struct ${what.struct}`);
    return null;
  }
  checkLocked(env, reg, what.name);
  return field.contains ?? null;
}

export interface Node {
  readonly typeId: number;
  readonly offset: number;
}

/** A node: to be put in, one that the program owns; else one that it saw in a tree. */
export function checkNode(
  env: Env,
  register: number,
  what: { readonly name: string; readonly struct: string },
  wanted: Node | null,
): void {
  const reg = env.read(register);
  const isOwned = reg.kind === kind.btf && (reg.flags & flag.alloc) !== 0;
  if (takesShared.has(what.name)) {
    if (!isOwned || (reg.flags & flag.nonOwning) === 0 || reg.ref !== 0)
      env.refuse("argument-type", `r${register} is ${describeReg(reg)}; ${what.name} wants a node that is in a tree`);
  } else if (!isOwned || reg.ref === 0) {
    env.refuse("release", `r${register} is ${describeReg(reg)}; ${what.name} wants an object that the program owns`);
    return;
  }
  if (isOwned && fieldAt(env, reg, graphStructs[what.struct] ?? "list_node") === null)
    env.refuse("argument-type", `r${register} points to no struct ${what.struct}`);
  else if (wanted !== null && (wanted.typeId !== reg.typeId || wanted.offset !== reg.off + reg.vl))
    env.refuse("argument-type", `r${register} points to another node than the list or tree holds`);
}

/** What was put in is the list's or the tree's: the program may look at it as long as it holds the lock. */
export function giveAway(env: Env, register: number): void {
  const { ref } = env.frame.reg(register);
  if (ref === 0 || !forgetReference(env.state, ref)) return;
  mapRegs(env.state, (reg) => {
    if (reg.ref !== ref) return reg;
    const shared = reg.clone();
    shared.ref = 0;
    shared.flags |= flag.nonOwning;
    return shared;
  });
}

/** When the lock is given back nobody knows what is still in. */
export function forgetShared(env: Env): void {
  mapRegs(env.state, (reg) => (reg.kind === kind.btf && (reg.flags & flag.nonOwning) !== 0 ? UNKNOWN : reg));
}

/** The node that a function gives; null: it gives none. */
export function nodeResult(env: Env, name: string, node: Node | null): Reg | null {
  const isOwned = givesOwned.has(name);
  if (node === null || (!isOwned && !givesShared.has(name))) return null;
  const reg = pointer(kind.btf, flag.alloc | flag.maybeNull | (isOwned ? 0 : flag.nonOwning));
  reg.typeId = node.typeId;
  reg.ownType = true;
  reg.off = node.offset;
  if (isOwned) {
    reg.ref = acquire(env);
    reg.id = reg.ref;
  } else reg.id = env.newId();
  return reg;
}

/** What the function that orders a tree is called with. */
export function orderingArguments(node: Node): Reg[] {
  const one = pointer(kind.btf, flag.alloc | flag.nonOwning);
  one.typeId = node.typeId;
  one.ownType = true;
  one.off = node.offset;
  return [one, one.clone()];
}
