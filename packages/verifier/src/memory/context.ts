/**
 * @module
 * Loads from and stores to the context (check_ctx_access, btf_ctx_access).
 */
import { resolveType } from "@skep/object";
import type { Env, KernelPrototype } from "../env.ts";
import type { Kind } from "../register.ts";
import { Reg, UNKNOWN, flag, kind } from "../register.ts";
import type { Access } from "./access.ts";

function checkPlace(env: Env, ptr: Reg, access: Access): boolean {
  if (ptr.off !== 0 || !ptr.isConst || ptr.vl !== 0) {
    env.refuse(
      "context-modified",
      `r${access.register} points ${ptr.off === 0 ? "somewhere" : `${ptr.off} bytes`} into the context`,
    );
    return false;
  }
  return true;
}

export function loadContext(env: Env, ptr: Reg, access: Access): Reg {
  if (!checkPlace(env, ptr, access)) return UNKNOWN;
  const { off, size } = access;
  const { context, prototype } = env.kind;
  if (prototype !== null) return loadArgument(env, prototype, off, size);
  if (context === null || !context.mayAccess(off, size, false)) {
    env.refuse("context-access", `${size} bytes at ${off} of the context of ${env.kind.type} cannot be read`);
    return UNKNOWN;
  }
  const what = context.pointerAt(off, size);
  return what === null ? UNKNOWN : pointerOf(env, what);
}

const plainKinds: Readonly<Record<string, Kind>> = {
  packet: kind.packet,
  "packet-end": kind.packetEnd,
  "packet-meta": kind.packetMeta,
  "sock-common-or-null": kind.sockCommon,
  "sock-or-null": kind.socket,
  sock: kind.socket,
  "flow-keys": kind.flowKeys,
  buffer: kind.buffer,
};

function pointerOf(env: Env, what: string): Reg {
  const reg = new Reg();
  const plain = plainKinds[what];
  if (plain !== undefined) {
    reg.kind = plain;
    if (what.endsWith("-or-null")) {
      reg.flags = flag.maybeNull;
      reg.id = env.newId();
    }
    return reg;
  }
  const name = what.slice(what.indexOf(":") + 1);
  reg.kind = kind.btf;
  reg.flags = flag.trusted;
  reg.typeId = env.kernel?.structNamed(name) ?? 0;
  if (reg.typeId === 0) env.refuse("unresolved", `the kernel's types are needed for struct ${name}`);
  return reg;
}

/** Arguments of the kernel's function stand in slots of eight bytes. */
function loadArgument(env: Env, prototype: KernelPrototype, off: number, size: number): Reg {
  const index = off >> 3;
  const param = prototype.params[index];
  if (off < 0 || (off & 7) !== 0 || (param === undefined && !isResult(env, prototype, index))) {
    env.refuse("context-access", `${prototype.name} has no argument at offset ${off}`);
    return UNKNOWN;
  }
  const typeId = param?.typeId ?? prototype.returnTypeId;
  const { kernel } = env;
  if (kernel === null) return UNKNOWN;
  const type = resolveType(kernel.view, typeId);
  if (type?.kind !== "ptr") return UNKNOWN;
  if (size !== 8) {
    env.refuse("context-access", `a part of the pointer argument ${index} is read`);
    return UNKNOWN;
  }
  return argumentPointer(env, { prototype, index, pointee: type.typeId });
}

function isResult(env: Env, prototype: KernelPrototype, index: number): boolean {
  return (
    index === prototype.params.length &&
    (env.kind.attachType === "trace_fexit" || env.kind.attachType === "modify_return")
  );
}

interface Argument {
  readonly prototype: KernelPrototype;
  readonly index: number;
  readonly pointee: number;
}

/** Keys and values that an iterator shows: bytes, keys only to be read. */
function iteratorBuffer(env: Env, prototype: KernelPrototype, index: number): Reg {
  const reg = new Reg();
  reg.kind = kind.buffer;
  reg.flags = flag.maybeNull | (prototype.params[index]?.name === "key" ? flag.readOnly : 0);
  reg.id = env.newId();
  return reg;
}

function argumentPointer(env: Env, { prototype, index, pointee }: Argument): Reg {
  const { kernel } = env;
  const target = kernel === null ? null : resolveType(kernel.view, pointee);
  if (target === null && prototype.nullable) return iteratorBuffer(env, prototype, index);
  if (kernel === null || target === null || (target.kind !== "struct" && target.kind !== "union")) return UNKNOWN;
  const reg = new Reg();
  reg.kind = kind.btf;
  reg.flags = flag.trusted;
  // What congestion control is handed is always a TCP socket (bpf_tcp_ca_is_valid_access).
  const isCongestion = prototype.name.startsWith("tcp_congestion_ops.") && target.name === "sock";
  reg.typeId = isCongestion ? kernel.structNamed("tcp_sock") : kernel.named(target.name, target.kind);
  if (isNullable(env, prototype, pointee)) {
    reg.flags |= flag.maybeNull;
    reg.id = env.newId();
  }
  return reg;
}

/** Iterators show their objects as null at the end. */
function isNullable(env: Env, prototype: KernelPrototype, pointee: number): boolean {
  if (!prototype.nullable) return false;
  const target = env.kernel?.nameOf(pointee) ?? "";
  // What is shown is the element; its map is there.
  if (target === "bpf_map" && prototype.name !== "bpf_iter_bpf_map") return false;
  return target !== "bpf_iter_meta" && target !== "seq_file";
}

export function storeContext(env: Env, ptr: Reg, access: Access): void {
  if (!checkPlace(env, ptr, access)) return;
  const { off, size } = access;
  const { context } = env.kind;
  if (context === null || !context.mayAccess(off, size, true)) {
    env.refuse("context-access", `${size} bytes at ${off} of the context of ${env.kind.type} cannot be written`);
  }
}
