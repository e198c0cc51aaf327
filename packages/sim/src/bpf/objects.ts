/**
 * @module
 * Maps, programs and links with what keeps them alive: handles, pins, and each other.
 */
import type { VmMap, VmProgram } from "@skep/vm";
import type { Pinned } from "./pins.ts";

/** Ends when the last of its holders lets go. */
export abstract class Counted implements Pinned {
  abstract readonly kind: Pinned["kind"];
  #holders = 0;

  retain(): void {
    this.#holders += 1;
  }

  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.end();
  }

  protected abstract end(): void;
}

export class MapObject extends Counted {
  override readonly kind = "map";
  readonly map: VmMap;
  readonly #close: (map: VmMap) => void;
  /** Inner maps by key: the outer map keeps them. */
  readonly #inner = new Map<string, MapObject>();
  readonly #programs = new Map<string, ProgramObject>();

  constructor(map: VmMap, close: (map: VmMap) => void) {
    super();
    this.map = map;
    this.#close = close;
  }

  /** What stands under a key from now on; null: nothing. */
  hold(key: string, object: MapObject | ProgramObject | null): void {
    if (object instanceof MapObject) swap(this.#inner, key, object);
    else if (object instanceof ProgramObject) swap(this.#programs, key, object);
    else {
      swap(this.#inner, key, null);
      swap(this.#programs, key, null);
    }
  }

  inner(key: string): MapObject | null {
    return this.#inner.get(key) ?? null;
  }

  protected override end(): void {
    for (const key of [...this.#inner.keys(), ...this.#programs.keys()]) this.hold(key, null);
    this.#close(this.map);
  }
}

function swap<T extends Counted>(held: Map<string, T>, key: string, next: T | null): void {
  const before = held.get(key);
  next?.retain();
  if (next) held.set(key, next);
  else held.delete(key);
  before?.release();
}

export class ProgramObject extends Counted {
  override readonly kind = "program";
  readonly program: VmProgram;
  readonly maps: readonly MapObject[];
  readonly #onEnd: () => void;

  /** Holds the maps of its object as long as it lives. */
  constructor(program: VmProgram, maps: readonly MapObject[], onEnd: () => void) {
    super();
    this.program = program;
    this.maps = maps;
    this.#onEnd = onEnd;
    for (const map of maps) map.retain();
  }

  protected override end(): void {
    this.#onEnd();
    for (const map of this.maps) map.release();
  }
}

/** An attachment: at its place until it is detached or nobody holds it. */
export class LinkObject extends Counted {
  override readonly kind = "link";
  readonly id: number;
  readonly type: string;
  #program: ProgramObject;
  #detach: (() => void) | null;

  constructor(options: { readonly id: number; readonly type: string; readonly program: ProgramObject }) {
    super();
    this.id = options.id;
    this.type = options.type;
    this.#program = options.program;
    this.#detach = null;
    options.program.retain();
  }

  get program(): ProgramObject {
    return this.#program;
  }

  get isAttached(): boolean {
    return this.#detach !== null;
  }

  attached(detach: () => void): void {
    this.#detach = detach;
  }

  replace(program: ProgramObject): void {
    program.retain();
    const before = this.#program;
    this.#program = program;
    before.release();
  }

  detach(): void {
    const detach = this.#detach;
    this.#detach = null;
    detach?.();
  }

  protected override end(): void {
    this.detach();
    this.#program.release();
  }
}
