/**
 * @module
 * Global functions: verified once by their prototype, called with arguments that fit it (btf_prepare_func_args,
 * btf_check_subprog_call; kernel/bpf).
 */
import { resolveType, sizeOf } from "@skep/object";
import type { BtfView } from "@skep/object";
import type { Env } from "../env.ts";
import { describeReg } from "../explain/describe.ts";
import { UNKNOWN, flag, kind, pointer } from "../register.ts";
import type { Reg } from "../register.ts";
import { checkMemory } from "./memory-argument.ts";

export type GlobalArgument =
  | { readonly kind: "number" }
  | { readonly kind: "context" }
  | { readonly kind: "memory"; readonly size: number; readonly nullable: boolean; readonly readOnly: boolean }
  | { readonly kind: "dynptr" }
  | { readonly kind: "arena" }
  | { readonly kind: "trusted"; readonly name: string; readonly nullable: boolean };

const contextNames: Readonly<Record<string, readonly string[]>> = {
  __sk_buff: [
    "socket_filter",
    "sched_cls",
    "sched_act",
    "cgroup_skb",
    "lwt_in",
    "lwt_out",
    "lwt_xmit",
    "sk_skb",
    "lwt_seg6local",
    "flow_dissector",
  ],
  xdp_md: ["xdp"],
  bpf_sock: ["cgroup_sock"],
  bpf_sock_addr: ["cgroup_sock_addr"],
  bpf_sock_ops: ["sock_ops"],
  sk_msg_md: ["sk_msg"],
  bpf_cgroup_dev_ctx: ["cgroup_device"],
  bpf_sysctl: ["cgroup_sysctl"],
  bpf_sockopt: ["cgroup_sockopt"],
  sk_reuseport_md: ["sk_reuseport"],
  bpf_sk_lookup: ["sk_lookup"],
  bpf_user_pt_regs_t: ["kprobe"],
  pt_regs: ["kprobe"],
  bpf_perf_event_data: ["perf_event"],
  bpf_raw_tracepoint_args: ["raw_tracepoint", "raw_tracepoint_writable"],
  bpf_nf_ctx: ["netfilter"],
};

/** What programs of any type call their context. */
export function isContextName(name: string): boolean {
  return contextNames[name] !== undefined;
}

/** The prototype of a function as the verifier reads it; null where it cannot be used so. */
export function globalArguments(env: Env, index: number): readonly GlobalArgument[] | null {
  const known = env.prototypes.get(index);
  if (known !== undefined) return known;
  const made = readPrototype(env, index);
  env.prototypes.set(index, made);
  return made;
}

function readPrototype(env: Env, index: number): readonly GlobalArgument[] | null {
  const typeId = env.code.subprograms[index]?.typeId ?? 0;
  const view = env.types;
  const fn = view === null || typeId === 0 ? null : view.get(typeId);
  if (view === null || fn?.kind !== "func") return null;
  const proto = view.get(fn.typeId);
  if (proto?.kind !== "func_proto") return null;
  const args: GlobalArgument[] = [];
  for (const [at, param] of proto.params.entries()) {
    const arg = readParameter(env, view, { typeId: param.typeId, tags: tagsOf(view, typeId, at) });
    if (arg === null) return null;
    args.push(arg);
  }
  return args;
}

/** Whether BTF says that the function gives a number; also where BTF says nothing. */
export function returnsNumber(env: Env, index: number): boolean {
  const typeId = env.code.subprograms[index]?.typeId ?? 0;
  const fn = env.types?.get(typeId);
  const proto = fn?.kind === "func" ? env.types?.get(fn.typeId) : null;
  if (env.types === null || proto?.kind !== "func_proto") return true;
  const result = resolveType(env.types, proto.returnTypeId);
  return result?.kind === "int" || result?.kind === "enum" || result?.kind === "enum64";
}

function tagsOf(view: BtfView, functionId: number, index: number): string[] {
  const tags: string[] = [];
  for (let id = view.firstId; id < view.end; id++) {
    const type = view.get(id);
    if (type?.kind === "decl_tag" && type.typeId === functionId && type.componentIndex === index) tags.push(type.name);
  }
  return tags;
}

function readParameter(
  env: Env,
  view: BtfView,
  param: { readonly typeId: number; readonly tags: readonly string[] },
): GlobalArgument | null {
  const { tags } = param;
  const type = resolveType(view, param.typeId);
  if (type?.kind === "int" || type?.kind === "enum" || type?.kind === "enum64") return { kind: "number" };
  if (type?.kind !== "ptr") return null;
  const target = resolveType(view, type.typeId);
  const name = target !== null && "name" in target ? target.name : "";
  const typedefs = namesOf(view, type.typeId);
  const isContext = typedefs.some((each) => contextNames[each]?.includes(env.kind.type) === true);
  if (isContext || tags.includes("arg:ctx")) return { kind: "context" };
  if (name === "bpf_dynptr") return { kind: "dynptr" };
  if (tags.includes("arg:arena")) return { kind: "arena" };
  const nonNull = tags.includes("arg:nonnull");
  if (tags.includes("arg:trusted")) return { kind: "trusted", name, nullable: tags.includes("arg:nullable") };
  const size = target === null ? null : sizeOf(view, type.typeId);
  if (size === null) return null;
  return { kind: "memory", size, nullable: !nonNull, readOnly: false };
}

function namesOf(view: BtfView, typeId: number): string[] {
  const names: string[] = [];
  for (let type = view.get(typeId); type !== null;) {
    if ("name" in type) names.push(type.name);
    if (type.kind !== "typedef" && type.kind !== "const" && type.kind !== "volatile" && type.kind !== "type_tag") break;
    type = view.get(type.typeId);
  }
  return names;
}

/** What the function's registers hold when it is verified alone; `isMain`: its pointers to memory are what the caller checked. */
export function argumentRegister(env: Env, arg: GlobalArgument): Reg {
  switch (arg.kind) {
    case "number":
      return UNKNOWN;
    case "context":
      return pointer(kind.context);
    case "arena": {
      const reg = UNKNOWN.clone();
      reg.kind = kind.arena;
      return reg;
    }
    case "dynptr": {
      const reg = pointer(kind.dynptr, flag.readOnly);
      reg.size = 1;
      reg.id = env.newId();
      return reg;
    }
    case "memory": {
      const reg = pointer(kind.memory, arg.nullable ? flag.maybeNull : 0);
      reg.size = arg.size;
      reg.id = env.newId();
      return reg;
    }
    case "trusted": {
      const reg = pointer(kind.btf, flag.trusted | (arg.nullable ? flag.maybeNull : 0));
      reg.typeId = env.kernel?.structNamed(arg.name.replace(/___.*/, "")) ?? 0;
      if (arg.nullable) reg.id = env.newId();
      return reg;
    }
  }
}

export function checkGlobalArguments(env: Env, index: number): void {
  const callee = env.code.subprograms[index];
  const name = callee?.name ?? "the function";
  const args = globalArguments(env, index);
  if (args === null) {
    env.refuse("unused-function", `the prototype of ${name} cannot be used for verification`);
    return;
  }
  args.forEach((arg, i) => checkArgument(env, { arg, register: i + 1, name }));
}

function checkArgument(
  env: Env,
  { arg, register, name }: { readonly arg: GlobalArgument; readonly register: number; readonly name: string },
): void {
  const reg = env.read(register);
  const wrong = (wanted: string): void => {
    env.refuse("argument-type", `r${register} is ${describeReg(reg)}; ${name} wants ${wanted}`);
  };
  switch (arg.kind) {
    case "number":
      if (reg.kind !== kind.scalar) wrong("a number");
      break;
    case "context":
      if (reg.kind !== kind.context || reg.off !== 0) wrong("the context");
      break;
    case "arena":
      if (reg.kind !== kind.arena && reg.kind !== kind.scalar) wrong("a pointer into the arena");
      break;
    case "dynptr":
      if (reg.kind !== kind.stack && (reg.kind !== kind.dynptr || reg.off !== 0)) wrong("a dynptr");
      break;
    case "trusted":
      if (arg.nullable && reg.isNumber(0)) break;
      if (reg.mayBeNull && !arg.nullable)
        env.refuse("maybe-null", `r${register} may be null, which ${name} does not take`);
      if (reg.kind !== kind.btf || (reg.flags & (flag.trusted | flag.rcu)) === 0)
        wrong(`a trusted pointer to struct ${arg.name}`);
      break;
    case "memory":
      checkMemoryArgument(env, arg, register);
  }
}

function checkMemoryArgument(env: Env, arg: GlobalArgument & { readonly kind: "memory" }, register: number): void {
  const reg = env.read(register);
  if (arg.nullable && reg.isNumber(0)) return;
  // A pointer that may be null is checked as if it were not: the function compares it.
  const saved = reg;
  if (reg.mayBeNull && arg.nullable) {
    const checked = reg.clone();
    checked.flags &= ~flag.maybeNull;
    env.frame.regs[register] = checked;
  }
  const use = { register, size: arg.size, raw: false, mayBeEmpty: false, packet: true };
  checkMemory(env, { ...use, writes: true }, []);
  checkMemory(env, { ...use, writes: false }, []);
  env.frame.regs[register] = saved;
}
