import { SimError } from "../error.ts";

/** What a pin keeps alive. */
export interface Pinned {
  readonly kind: "map" | "program" | "link";
  retain(): void;
  release(): void;
}

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf("/")));

/** The BPF file system: folders and pins, in memory. */
export class PinTree {
  readonly #folders = new Set<string>();
  readonly #pins = new Map<string, Pinned>();

  /** True where the folder was not there. */
  makeFolder(path: string): boolean {
    if (this.#folders.has(path)) return false;
    this.#folders.add(path);
    return true;
  }

  pin(path: string, object: Pinned): void {
    if (!this.#folders.has(parentOf(path))) throw new SimError("ENOENT", `pinning ${path}: the folder is not there`);
    if (this.#pins.has(path)) throw new SimError("EEXIST", `pinning ${path}`);
    object.retain();
    this.#pins.set(path, object);
  }

  /** Null where nothing, or another kind of object, is pinned. */
  get(path: string, kind: Pinned["kind"]): Pinned | null {
    const found = this.#pins.get(path);
    return found?.kind === kind ? found : null;
  }

  names(folder: string): string[] {
    return [...this.#pins.keys()]
      .filter((path) => parentOf(path) === folder)
      .map((path) => path.slice(folder.length + 1))
      .sort();
  }

  unpin(path: string): void {
    const found = this.#pins.get(path);
    if (!found) throw new SimError("ENOENT", `unpinning ${path}`);
    this.#pins.delete(path);
    found.release();
  }

  removeFolder(folder: string): void {
    for (const path of [...this.#pins.keys()]) if (path.startsWith(`${folder}/`)) this.unpin(path);
    for (const path of this.#folders) if (path === folder || path.startsWith(`${folder}/`)) this.#folders.delete(path);
  }
}
