/**
 * @module
 * Places where programs are attached, in order.
 */
import type { Order } from "@skep/machine";
import { SimError } from "../error.ts";
import type { LinkObject, ProgramObject } from "./objects.ts";

/** Several programs in an order of their own (kernel/bpf/mprog.c). */
export class HookList {
  readonly #links: LinkObject[] = [];
  #revision = 1n;

  get links(): readonly LinkObject[] {
    return this.#links;
  }

  /** `find`: the link or program that a handle of the order stands for. */
  attach(link: LinkObject, order: Order, find: (handle: unknown) => LinkObject | ProgramObject): void {
    if (order.revision !== undefined && order.revision !== this.#revision)
      throw new SimError("ESTALE", `the hook is at revision ${this.#revision}`);
    this.#links.splice(this.#place(order, find), 0, link);
    this.#revision += 1n;
    link.attached(() => {
      const at = this.#links.indexOf(link);
      if (at >= 0) this.#links.splice(at, 1);
      this.#revision += 1n;
    });
  }

  #place(order: Order, find: (handle: unknown) => LinkObject | ProgramObject): number {
    const indexOf = (handle: unknown): number => {
      const wanted = find(handle);
      const at = this.#links.findIndex((link) => link === wanted || link.program === wanted);
      if (at < 0) throw new SimError("ENOENT", "the program to stand beside is not attached here");
      return at;
    };
    if (order.before !== undefined) return indexOf(order.before);
    if (order.after !== undefined) return indexOf(order.after) + 1;
    return order.order === "first" ? 0 : this.#links.length;
  }
}

/** One program at most. */
export class HookSlot {
  #link: LinkObject | null = null;

  get link(): LinkObject | null {
    return this.#link;
  }

  attach(link: LinkObject): void {
    if (this.#link) throw new SimError("EBUSY", "another program is attached here");
    this.#link = link;
    link.attached(() => {
      this.#link = null;
    });
  }
}
