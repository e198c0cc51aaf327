import { ObjectError } from "../errors.ts";
import { essentialName } from "./flavor.ts";
import type { BtfType, BtfTypes, BtfView } from "./types.ts";
import { typeName } from "./walk.ts";

const views = new WeakMap<BtfTypes, BtfView>();

/** A view over decoded types; a view is given back as it is. Views of the same data are shared. */
export function viewOf(btf: BtfTypes | BtfView, base?: BtfView): BtfView {
  if ("get" in btf) return btf;
  if (base !== undefined) return new TypesView(btf, base);
  let view = views.get(btf);
  if (view === undefined) {
    view = new TypesView(btf, undefined);
    views.set(btf, view);
  }
  return view;
}

class TypesView implements BtfView {
  readonly end: number;
  readonly firstId: number;
  private readonly types: readonly BtfType[];
  private readonly base: BtfView | undefined;
  private names: Map<string, number[]> | undefined;
  private essentials: Map<string, number[]> | undefined;

  constructor(btf: BtfTypes, base: BtfView | undefined) {
    this.types = btf.types;
    this.base = base;
    this.firstId = btf.firstId ?? 1;
    this.end = this.firstId + btf.types.length;
    if (this.firstId !== (base?.end ?? 1))
      throw new ObjectError("btf", `split types from ${this.firstId} need a base up to there`);
  }

  get(id: number): BtfType | null {
    if (id === 0) return null;
    if (id < this.firstId && this.base !== undefined) return this.base.get(id);
    const type = this.types[id - this.firstId];
    if (type === undefined) throw new ObjectError("btf", `there is no type ${id}`);
    return type;
  }

  named(name: string): readonly number[] {
    this.names ??= indexNames(this.types, this.firstId);
    const own = this.names.get(name) ?? [];
    return this.base === undefined ? own : [...this.base.named(name), ...own];
  }

  flavors(name: string): readonly number[] {
    this.essentials ??= indexNames(this.types, this.firstId, essentialName);
    const own = this.essentials.get(name) ?? [];
    return this.base === undefined ? own : [...this.base.flavors(name), ...own];
  }
}

function indexNames(
  types: readonly BtfType[],
  firstId: number,
  cut: (name: string) => string = (name) => name,
): Map<string, number[]> {
  const names = new Map<string, number[]>();
  types.forEach((type, index) => {
    const name = cut(typeName(type));
    const ids = names.get(name);
    if (ids === undefined) names.set(name, [firstId + index]);
    else ids.push(firstId + index);
  });
  return names;
}
