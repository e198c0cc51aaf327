/**
 * @module
 * Types that `@skep/bpf` gives a name: integers, and what the kernel keeps in the values of maps and in allocated objects.
 */
import { arrayType, BOOL, INTS, structType, type MemoryType, type StructT } from "./types.ts";

/** A structure whose contents are the kernel's matter (include/uapi/linux/bpf.h). */
const opaque = (name: string, words: number): StructT =>
  structType("struct", name, [{ name: "opaque", type: arrayType(INTS.u64, words) }]);

const locked = (name: string): StructT => structType("struct", name, [{ name: "val", type: INTS.u32 }]);

export const TYPE_NAMES: Readonly<Record<string, MemoryType>> = {
  ...INTS,
  bool: BOOL,
  SpinLock: locked("bpf_spin_lock"),
  ResSpinLock: locked("bpf_res_spin_lock"),
  Timer: opaque("bpf_timer", 2),
  WorkQueue: opaque("bpf_wq", 2),
  TaskWork: opaque("bpf_task_work", 1),
  ListNode: opaque("bpf_list_node", 3),
  RbNode: opaque("bpf_rb_node", 4),
  Refcount: structType("struct", "bpf_refcount", [{ name: "opaque", type: arrayType(INTS.u32, 1) }]),
};

export const LIST_HEAD = opaque("bpf_list_head", 2);
export const RB_ROOT = opaque("bpf_rb_root", 2);

/** Those of them that are structures, by the kernel's name. */
export const OBJECT_TYPES: ReadonlyMap<string, StructT> = new Map(
  [...Object.values(TYPE_NAMES), LIST_HEAD, RB_ROOT].flatMap((type) =>
    type.kind === "struct" ? [[type.name, type] as const] : [],
  ),
);
