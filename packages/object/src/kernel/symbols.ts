import { essentialName } from "../btf/flavor.ts";
import { resolveId } from "../btf/query.ts";
import type { BtfOf, BtfTypes, BtfView } from "../btf/types.ts";
import { typeName } from "../btf/walk.ts";
import { viewOf } from "../btf/view.ts";
import { typesCompatible } from "../core/compatible.ts";
import { ObjectError } from "../errors.ts";
import type { LinkedProgram, LoadReference } from "../link/program.ts";

/** What a kernel defines. */
export interface KernelSymbols {
  /** Types of the kernel itself. */
  readonly types: BtfTypes | BtfView;
  /** Types of its modules, by name; asked only for what the kernel itself does not define. */
  readonly modules?: () => Iterable<readonly [name: string, types: BtfView]>;
  /** The address of a symbol (/proc/kallsyms); null where there is none. */
  readonly address?: (name: string) => bigint | null;
}

/** What a reference to a kernel symbol becomes. */
export type KernelSymbol =
  /** BTF id of the function or variable; `module` null: the kernel itself. */
  | { readonly kind: "btf"; readonly id: number; readonly module: string | null }
  | { readonly kind: "address"; readonly address: bigint }
  /** Weak, and not there: the address is 0, a call must not be reached. */
  | { readonly kind: "missing" };

/** A `kfunc` or `ksym` reference. */
export type SymbolReference = Extract<LoadReference, { readonly kind: "kfunc" | "ksym" }>;

/**
 * Every kernel symbol that a linked program refers to, by name. `local`: the object's types.
 * Throws `ObjectError` `symbol` for a strong one that the kernel has not, or has with another type.
 */
export function resolveSymbols(
  linked: LinkedProgram,
  local: BtfTypes | BtfView,
  kernel: KernelSymbols,
): Map<string, KernelSymbol> {
  const found = new Map<string, KernelSymbol>();
  for (const reference of linked.references) {
    if (reference.kind !== "kfunc" && reference.kind !== "ksym") continue;
    if (!found.has(reference.name)) found.set(reference.name, resolveSymbol(reference, local, kernel));
  }
  return found;
}

/** One kernel symbol, by libbpf's rules (bpf_object__resolve_ksyms_btf_id). Throws `ObjectError` `symbol`. */
export function resolveSymbol(
  reference: SymbolReference,
  local: BtfTypes | BtfView,
  kernel: KernelSymbols,
): KernelSymbol {
  const { name, weak, typeId } = reference;
  if (reference.kind === "ksym" && typeId === undefined) {
    const address = kernel.address?.(name) ?? null;
    if (address !== null) return { kind: "address", address };
    return missing(reference, "is no symbol of the kernel");
  }
  const view = viewOf(local);
  const declared = typeId === undefined ? null : view.get(typeId);
  const wanted = reference.kind === "kfunc" || declared?.kind === "func" ? "func" : "var";
  const place = findDefinition(kernel, wanted === "func" ? essentialName(name) : name, wanted);
  if (place === null)
    return missing(reference, `is no ${wanted === "func" ? "function" : "variable"} in the kernel's types`);
  const mine = typeId === undefined || declared === null ? null : declaredType(view, declared, typeId);
  const theirs = wanted === "func" ? place.type.typeId : resolveId(place.types, place.type.typeId);
  if (mine !== null && !typesCompatible({ btf: view, id: mine }, { btf: place.types, id: theirs })) {
    if (weak && wanted === "func") return { kind: "missing" };
    throw new ObjectError(
      "symbol",
      `${name} has another type in the kernel (${describe(place.types, theirs)}) than in the object (${describe(view, mine)})`,
    );
  }
  return { kind: "btf", id: place.id, module: place.module };
}

function missing(reference: SymbolReference, why: string): KernelSymbol {
  if (reference.weak) return { kind: "missing" };
  throw new ObjectError("symbol", `${reference.name} ${why}`);
}

/** The prototype of a function, the type of a variable. */
function declaredType(view: BtfView, declared: { readonly kind: string }, typeId: number): number {
  const type = declared as BtfOf<"func" | "var">;
  if (type.kind === "func") return type.typeId;
  return resolveId(view, type.kind === "var" ? type.typeId : typeId);
}

interface Definition {
  readonly id: number;
  readonly type: BtfOf<"func"> | BtfOf<"var">;
  readonly types: BtfView;
  readonly module: string | null;
}

function findDefinition(kernel: KernelSymbols, name: string, kind: "func" | "var"): Definition | null {
  const own = definitionIn(viewOf(kernel.types), name, kind);
  if (own !== null) return { ...own, module: null };
  for (const [module, types] of kernel.modules?.() ?? []) {
    const found = definitionIn(types, name, kind);
    if (found !== null) return { ...found, module };
  }
  return null;
}

function definitionIn(types: BtfView, name: string, kind: "func" | "var"): Omit<Definition, "module"> | null {
  for (const id of types.named(name)) {
    const type = types.get(id);
    if (id >= types.firstId && type?.kind === kind) return { id, type: type as Definition["type"], types };
  }
  return null;
}

function describe(types: BtfView, id: number): string {
  const type = types.get(id);
  return type === null ? "void" : `${type.kind} ${typeName(type) || "(anonymous)"}`;
}
