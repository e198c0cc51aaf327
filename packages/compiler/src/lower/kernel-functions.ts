/**
 * @module
 * Functions of the kernel that the language itself needs (dynptrs, iterators, RCU), by their C prototypes: what the extern FUNC in the
 * program's BTF says, which loaders compare with the kernel's.
 */
import ts from "typescript";
import type { Inst, ValueType } from "@skep/ir";
import { excerpt, type Cx } from "./cx.ts";
import { checkLicense } from "./helpers.ts";

const PROTOTYPES = [
  "int bpf_dynptr_from_skb(struct __sk_buff * s, u64 flags, struct bpf_dynptr * ptr__uninit)",
  "int bpf_dynptr_from_xdp(struct xdp_md * x, u64 flags, struct bpf_dynptr * ptr__uninit)",
  "void * bpf_dynptr_slice(struct bpf_dynptr * p, u32 offset, void * buffer__opt, u32 buffer__szk)",
  "void * bpf_dynptr_slice_rdwr(struct bpf_dynptr * p, u32 offset, void * buffer__opt, u32 buffer__szk)",
  "int bpf_dynptr_adjust(struct bpf_dynptr * p, u32 start, u32 end)",
  "bool bpf_dynptr_is_null(struct bpf_dynptr * p)",
  "bool bpf_dynptr_is_rdonly(struct bpf_dynptr * p)",
  "u32 bpf_dynptr_size(struct bpf_dynptr * p)",
  "int bpf_dynptr_clone(struct bpf_dynptr * p, struct bpf_dynptr * clone__uninit)",
  "int bpf_iter_num_new(struct bpf_iter_num * it, int start, int end)",
  "int * bpf_iter_num_next(struct bpf_iter_num * it)",
  "void bpf_iter_num_destroy(struct bpf_iter_num * it)",
  "int bpf_iter_task_new(struct bpf_iter_task * it, struct task_struct * task__nullable, u32 flags)",
  "struct task_struct * bpf_iter_task_next(struct bpf_iter_task * it)",
  "void bpf_iter_task_destroy(struct bpf_iter_task * it)",
  "int bpf_iter_css_new(struct bpf_iter_css * it, struct cgroup_subsys_state * start, u32 flags)",
  "struct cgroup_subsys_state * bpf_iter_css_next(struct bpf_iter_css * it)",
  "void bpf_iter_css_destroy(struct bpf_iter_css * it)",
  "int bpf_iter_css_task_new(struct bpf_iter_css_task * it, struct cgroup_subsys_state * css, u32 flags)",
  "struct task_struct * bpf_iter_css_task_next(struct bpf_iter_css_task * it)",
  "void bpf_iter_css_task_destroy(struct bpf_iter_css_task * it)",
  "int bpf_iter_task_vma_new(struct bpf_iter_task_vma * it, struct task_struct * task, u64 addr)",
  "struct vm_area_struct * bpf_iter_task_vma_next(struct bpf_iter_task_vma * it)",
  "void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma * it)",
  "int bpf_iter_bits_new(struct bpf_iter_bits * it, u64 * unsafe_ptr__ign, u32 nr_words)",
  "int * bpf_iter_bits_next(struct bpf_iter_bits * it)",
  "void bpf_iter_bits_destroy(struct bpf_iter_bits * it)",
  "void bpf_rcu_read_lock()",
  "void bpf_rcu_read_unlock()",
  "void bpf_preempt_disable()",
  "void bpf_preempt_enable()",
  "void bpf_throw(u64 cookie)",
  "void * bpf_obj_new_impl(u64 local_type_id__k, void * meta__ign)",
  "void bpf_obj_drop_impl(void * p__alloc, void * meta__ign)",
  "void * bpf_percpu_obj_new_impl(u64 local_type_id__k, void * meta__ign)",
  "void bpf_percpu_obj_drop_impl(void * p__alloc, void * meta__ign)",
  "void * bpf_refcount_acquire_impl(void * p__refcounted_kptr, void * meta__ign)",
  "int bpf_list_push_front_impl(struct bpf_list_head * head, struct bpf_list_node * node, void * meta__ign, u64 off)",
  "int bpf_list_push_back_impl(struct bpf_list_head * head, struct bpf_list_node * node, void * meta__ign, u64 off)",
  "struct bpf_list_node * bpf_list_pop_front(struct bpf_list_head * head)",
  "struct bpf_list_node * bpf_list_pop_back(struct bpf_list_head * head)",
  "struct bpf_list_node * bpf_list_front(struct bpf_list_head * head)",
  "struct bpf_list_node * bpf_list_back(struct bpf_list_head * head)",
  "int bpf_rbtree_add_impl(struct bpf_rb_root * root, struct bpf_rb_node * node, rb_less less, void * meta__ign, u64 off)",
  "struct bpf_rb_node * bpf_rbtree_remove(struct bpf_rb_root * root, struct bpf_rb_node * node)",
  "struct bpf_rb_node * bpf_rbtree_first(struct bpf_rb_root * root)",
  "struct bpf_rb_node * bpf_rbtree_root(struct bpf_rb_root * root)",
  "struct bpf_rb_node * bpf_rbtree_left(struct bpf_rb_root * root, struct bpf_rb_node * node)",
  "struct bpf_rb_node * bpf_rbtree_right(struct bpf_rb_root * root, struct bpf_rb_node * node)",
  "int bpf_wq_init(struct bpf_wq * wq, void * p__map, u32 flags)",
  "int bpf_wq_start(struct bpf_wq * wq, u32 flags)",
  "int bpf_wq_set_callback_impl(struct bpf_wq * wq, wq_callback callback_fn, u32 flags, void * aux__ign)",
  "int bpf_task_work_schedule_signal_impl(struct task_struct * task, struct bpf_task_work * tw, void * map__map, task_work_callback callback, void * aux__prog)",
  "int bpf_task_work_schedule_resume_impl(struct task_struct * task, struct bpf_task_work * tw, void * map__map, task_work_callback callback, void * aux__prog)",
  "void * bpf_arena_alloc_pages(void * p__map, void * addr__ign, u32 page_cnt, int node_id, u64 flags)",
  "void bpf_arena_free_pages(void * p__map, void * ptr__ign, u32 page_cnt)",
  "int bpf_res_spin_lock(struct bpf_res_spin_lock * lock)",
  "void bpf_res_spin_unlock(struct bpf_res_spin_lock * lock)",
] as const;

/** Types of functions that are passed: result and parameters. */
const CALLBACKS: Readonly<Record<string, readonly string[]>> = {
  rb_less: ["bool", "struct bpf_rb_node *", "struct bpf_rb_node *"],
  task_work_callback: ["int", "struct bpf_map *", "void *", "void *"],
  wq_callback: ["int", "void *", "int *", "void *"],
};

/** The result and the parameters of a function type by its name above; null where it is none. */
export function callbackType(name: string): readonly CType[] | null {
  return CALLBACKS[name]?.map((text) => typeOf(text.split(" "))) ?? null;
}

/** A parameter or result: how often a pointer, and to what. */
export interface CType {
  /** `int`, `u64`, `void`, `bool`, or the name of a structure. */
  readonly name: string;
  readonly isStruct: boolean;
  readonly pointer: boolean;
}

export interface CFunction {
  readonly name: string;
  readonly returns: CType;
  readonly parameters: readonly (CType & { readonly parameter: string })[];
}

function typeOf(words: readonly string[]): CType {
  const isStruct = words[0] === "struct";
  return { name: words[isStruct ? 1 : 0] ?? "void", isStruct, pointer: words.includes("*") };
}

function parse(text: string): CFunction {
  const open = text.indexOf("(");
  const head = text.slice(0, open).split(" ");
  const inner = text.slice(open + 1, -1);
  const parameters = (inner === "" ? [] : inner.split(", ")).map((one) => {
    const words = one.split(" ");
    return { ...typeOf(words.slice(0, -1)), parameter: words.at(-1) ?? "" };
  });
  return { name: head.at(-1) ?? "", returns: typeOf(head.slice(0, -1)), parameters };
}

const FUNCTIONS: ReadonlyMap<string, CFunction> = new Map(
  PROTOTYPES.map((text) => {
    const parsed = parse(text);
    return [parsed.name, parsed];
  }),
);

function resultType(type: CType): ValueType | undefined {
  if (type.pointer) return "ptr";
  if (type.name === "void") return undefined;
  return type.name === "u64" ? "i64" : "i32";
}

/** What the source has where such a function is called. */
function calledBy(node: ts.Node): ts.Node {
  return ts.isForOfStatement(node) ? node.expression : node;
}

/** Calls one of the functions above: kernel functions are for GPL-compatible programs alone (add_kfunc_call in kernel/bpf/verifier.c). */
export function callKernel(cx: Cx, name: string, args: readonly Inst[], node: ts.Node): Inst {
  const known = FUNCTIONS.get(name);
  if (!known) throw new Error(`no kernel function ${name}`);
  const call = calledBy(node);
  checkLicense(cx, ts.isCallExpression(call) ? call.expression.getText() : excerpt(call), call);
  const type = resultType(known.returns);
  return cx.emit(node).kfunc(name, args, { typeId: cx.unit.kernelPrototype(known), ...(type ? { type } : {}) });
}
