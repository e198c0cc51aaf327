/**
 * @module
 * Loads through pointers to kernel objects, and to objects of the program's own types (check_ptr_to_btf_access).
 */
import { KernelTypes } from "../kernel/types.ts";
import { hidesAddresses } from "../privilege/privilege.ts";
import { isSafe } from "../kernel/safe-fields.ts";
import type { Env } from "../env.ts";
import { Reg, UNKNOWN, flag, kind } from "../register.ts";
import { specialFields } from "../program/maps.ts";
import type { Access } from "./access.ts";

const ownTypes = new WeakMap<object, KernelTypes>();

/** The object's own types. */
export function ownTypesOf(env: Env): KernelTypes | null {
  if (env.types === null) return null;
  let types = ownTypes.get(env.types);
  if (types === undefined) ownTypes.set(env.types, (types = new KernelTypes(env.types)));
  return types;
}

function typesOf(env: Env, ptr: Reg): KernelTypes | null {
  return ptr.ownType ? ownTypesOf(env) : env.kernel;
}

/** A type of the object's as the kernel has it, where it has one of that name: what pointers in maps point to (btf_parse_kptr). */
export function kernelTypeOf(env: Env, typeId: number): Pick<Reg, "typeId" | "ownType"> {
  const own = ownTypesOf(env);
  const id = own === null ? 0 : (env.kernel?.structNamed(own.nameOf(own.resolve(typeId))) ?? 0);
  return id === 0 ? { typeId, ownType: true } : { typeId: id, ownType: false };
}

export function accessKernelObject(env: Env, ptr: Reg, access: Access, writes: boolean): Reg {
  if (hidesAddresses(env)) env.refuse("privilege", "an object of the kernel's is used: CAP_PERFMON is needed");
  const types = typesOf(env, ptr);
  if (types === null) {
    env.refuse("unresolved", "the kernel's types are needed for what is behind this pointer");
    return UNKNOWN;
  }
  const name = types.nameOf(ptr.typeId) || "the object";
  const off = access.off + ptr.off;
  if (off < 0) env.refuse("kernel-object", `a negative offset into ${name}`);
  if (!ptr.isConst || ptr.vl !== 0) env.refuse("kernel-object", `a variable offset into ${name}`);
  if ((ptr.flags & flag.user) !== 0)
    env.refuse("kernel-object", `${name} is user space's: read it with bpf_probe_read_user`);
  if ((ptr.flags & flag.percpu) !== 0) env.refuse("kernel-object", `${name} is per CPU: take it with bpf_this_cpu_ptr`);
  const isHeld = ptr.ref !== 0 || (ptr.flags & (flag.nonOwning | flag.rcu)) !== 0;
  if ((ptr.flags & flag.alloc) !== 0 && !isHeld)
    env.refuse("kernel-object", `${name} is used outside of the read section that kept it`);
  if ((ptr.flags & flag.alloc) !== 0) return accessOwned(env, ptr, { off, size: access.size, types }, writes);
  if (writes && !mayWrite(env, name) && !isMark(env, types, ptr, off))
    env.refuse("read-only", `${name} may only be read`);
  const walked = types.walk(ptr.typeId, off, access.size);
  if (walked.kind === "refused") env.refuse("kernel-object", `${name}: ${walked.why}`);
  if (writes || walked.kind !== "pointer") return UNKNOWN;
  return pointee(env, ptr, walked, name);
}

function pointee(
  env: Env,
  ptr: Reg,
  walked: { readonly typeId: number; readonly tags: readonly string[]; readonly field: string },
  parent: string,
): Reg {
  const reg = new Reg();
  reg.kind = kind.btf;
  reg.typeId = walked.typeId;
  reg.ownType = ptr.ownType;
  if (walked.tags.includes("user")) reg.flags |= flag.user;
  if (walked.tags.includes("percpu")) reg.flags |= flag.percpu;
  const trusted = (ptr.flags & (flag.trusted | flag.rcu)) !== 0;
  const inRcu = env.state.rcu > 0 || !env.sleepable;
  if (trusted && isSafe("trusted", parent, walked.field)) reg.flags |= flag.trusted;
  else if (trusted && isSafe("trusted-or-null", parent, walked.field)) reg.flags |= flag.trusted | flag.maybeNull;
  else if (trusted && inRcu && isSafe("rcu", parent, walked.field)) reg.flags |= flag.rcu;
  else if (trusted && inRcu && (walked.tags.includes("rcu") || isSafe("rcu-or-null", parent, walked.field))) {
    reg.flags |= flag.rcu | flag.maybeNull;
  } else if ((ptr.flags & flag.untrusted) !== 0 || (trusted && !inRcu)) reg.flags |= flag.untrusted;
  if ((reg.flags & flag.maybeNull) !== 0) reg.id = env.newId();
  return reg;
}

/** An object that the program allocated: its fields may be written, but for those with rules of their own. */
function accessOwned(
  env: Env,
  ptr: Reg,
  access: { readonly off: number; readonly size: number; readonly types: KernelTypes },
  writes: boolean,
): Reg {
  const { off, size, types } = access;
  if (off + size > types.sizeOf(ptr.typeId)) {
    env.refuse("kernel-object", `${size} bytes at ${off} are behind the end of ${types.nameOf(ptr.typeId)}`);
  }
  for (const field of specialFields(types.view, ptr.typeId)) {
    if (off < field.offset + field.size && off + size > field.offset) {
      env.refuse(
        "special-field",
        `the field ${field.kind} at ${field.offset} is ${writes ? "written" : "read"} directly`,
      );
    }
  }
  return UNKNOWN;
}

/** The mark of a tracked connection (nf_conntrack_btf_struct_access). */
function isMark(env: Env, types: KernelTypes, ptr: Reg, off: number): boolean {
  const name = types.nameOf(types.resolve(ptr.typeId));
  const type = types.view.get(types.structNamed("nf_conn"));
  const mark = type?.kind === "struct" ? type.members.find((each) => each.name === "mark") : undefined;
  return name.startsWith("nf_conn") && mark?.bitOffset === off * 8 && /^(xdp|sched_)/.test(env.kind.type);
}

/** struct_ops programs may write a few fields (bpf_tcp_ca_btf_struct_access and others). */
function mayWrite(env: Env, name: string): boolean {
  return (
    env.kind.type === "struct_ops" &&
    (name === "tcp_sock" || name === "bpf_dummy_ops_state" || name === "sock" || name === "inet_connection_sock")
  );
}
