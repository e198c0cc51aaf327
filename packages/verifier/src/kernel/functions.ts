/**
 * @module
 * Kernel functions: their prototypes from BTF, and what BTF does not say (KF_* flags, kernel 6.18).
 */
import { resolveType } from "@skep/object";
import { kernelFunctionRows, sleepingFunctions } from "./function-rows.ts";
import type { KernelTypes } from "./types.ts";

export interface KernelFunction {
  readonly name: string;
  readonly params: readonly { readonly name: string; readonly typeId: number }[];
  readonly returnTypeId: number;
  /** Gives a reference; gives one back; may give null; arguments must be trusted, or at least under RCU. */
  readonly acquires: boolean;
  readonly releases: boolean;
  readonly mayReturnNull: boolean;
  readonly sleeps: boolean;
  /** new, next and destroy of an iterator. */
  readonly iterator: "new" | "next" | "destroy" | null;
}

const acquiring = new Set(
  (
    "bpf_task_acquire bpf_cgroup_acquire bpf_cgroup_ancestor bpf_cgroup_from_id bpf_task_get_cgroup1 bpf_task_from_pid bpf_task_from_vpid " +
    "bpf_cpumask_create bpf_cpumask_acquire bpf_obj_new_impl bpf_percpu_obj_new_impl bpf_refcount_acquire_impl bpf_list_pop_front bpf_list_pop_back " +
    "bpf_rbtree_remove bpf_lookup_user_key bpf_lookup_system_key bpf_crypto_ctx_create bpf_crypto_ctx_acquire bpf_get_task_exe_file bpf_skb_ct_alloc " +
    "bpf_skb_ct_lookup bpf_xdp_ct_alloc bpf_xdp_ct_lookup bpf_ct_insert_entry bpf_xdp_get_xfrm_state"
  ).split(" "),
);
const releasing = new Set(
  (
    "bpf_task_release bpf_cgroup_release bpf_cpumask_release bpf_obj_drop_impl bpf_percpu_obj_drop_impl bpf_key_put bpf_crypto_ctx_release " +
    "bpf_kfunc_call_test_release bpf_kfunc_call_memb_release bpf_put_file bpf_ct_release bpf_ct_insert_entry bpf_xdp_xfrm_state_release"
  ).split(" "),
);
/** Acquired, and there because the argument was. */
const always = new Set(["bpf_cpumask_acquire", "bpf_refcount_acquire_impl"]);
const nullable = new Set([
  ...[...acquiring].filter((name) => !always.has(name)),
  ...(
    "bpf_dynptr_slice bpf_dynptr_slice_rdwr bpf_rbtree_first bpf_rbtree_root bpf_rbtree_left bpf_rbtree_right bpf_list_front bpf_list_back " +
    "bpf_get_kmem_cache"
  ).split(" "),
]);
const sleeping = new Set(sleepingFunctions.split(" "));

const typesOf = new Map<string, ReadonlySet<string>>();
for (const [names, types] of kernelFunctionRows) {
  const set = new Set(types.split(" "));
  for (const name of names.split(" ")) typesOf.set(name, set);
}
const aliases: Readonly<Record<string, string>> = {
  sched_act: "sched_cls",
  raw_tracepoint_writable: "raw_tracepoint",
  lwt_out: "lwt_in",
  tracing: "tracepoint",
  lsm: "tracepoint",
};

/** Whether programs of this type may call it; types of which nothing is known may. */
export function mayCall(name: string, programType: string): boolean {
  const types = typesOf.get(name);
  if (types === undefined) return true;
  if (programType === "struct_ops" || programType === "ext") return true;
  return types.has(aliases[programType] ?? programType);
}

function iteratorPart(name: string): KernelFunction["iterator"] {
  if (!name.startsWith("bpf_iter_")) return null;
  if (name.endsWith("_new")) return "new";
  if (name.endsWith("_next")) return "next";
  return name.endsWith("_destroy") ? "destroy" : null;
}

/** Null where the kernel has no such function. */
export function kernelFunction(types: KernelTypes, name: string): KernelFunction | null {
  const fn = types.view.get(types.named(name, "func"));
  const proto = fn?.kind === "func" ? types.view.get(fn.typeId) : null;
  if (proto?.kind !== "func_proto") return null;
  const iterator = iteratorPart(name);
  return {
    name,
    params: proto.params,
    returnTypeId: proto.returnTypeId,
    acquires: acquiring.has(name),
    releases: releasing.has(name),
    mayReturnNull: nullable.has(name) || iterator === "next",
    sleeps: sleeping.has(name),
    iterator,
  };
}

/** What a parameter is: a number, a pointer to a struct, or to plain memory of so many bytes. */
export type ParameterShape =
  | { readonly kind: "number" }
  | { readonly kind: "struct"; readonly name: string; readonly typeId: number }
  | { readonly kind: "memory"; readonly size: number; readonly readOnly: boolean }
  | { readonly kind: "anything" };

export function shapeOf(types: KernelTypes, typeId: number): ParameterShape {
  const type = resolveType(types.view, typeId);
  if (type?.kind !== "ptr") return { kind: "number" };
  const target = resolveType(types.view, type.typeId);
  if (target === null) return { kind: "anything" };
  if (target.kind === "struct" || target.kind === "union") {
    return { kind: "struct", name: target.name, typeId: types.named(target.name, target.kind) || type.typeId };
  }
  const pointee = types.view.get(type.typeId);
  return { kind: "memory", size: types.sizeOf(type.typeId), readOnly: pointee?.kind === "const" };
}
