import type { Link, Program } from "@skep/machine";
import { NotSupportedError } from "./not-supported.ts";

export interface ManualAttachment {
  readonly type: string;
  readonly programId: number;
  /** Takes the program off. Called once. */
  detach(): void;
  /** Puts another program in its place; absent where that cannot be done at once. */
  replace?(program: Program): void;
  /** Gives up what the attachment holds, after `detach`. */
  close?(): void;
}

/** An attachment that the kernel has no link object for. It ends with `detach` or `close`, not with the process. */
export class ManualLink implements Link {
  readonly #attachment: ManualAttachment;
  #programId: number;
  #isAttached = true;

  constructor(attachment: ManualAttachment) {
    this.#attachment = attachment;
    this.#programId = attachment.programId;
  }

  get info(): { readonly id: number; readonly programId: number; readonly type: string } {
    return { id: 0, programId: this.#programId, type: this.#attachment.type };
  }

  isAttached(): boolean {
    return this.#isAttached;
  }

  update(program: Program): void {
    if (!this.#attachment.replace) throw new NotSupportedError(`replacing the program of a ${this.#attachment.type}`);
    this.#attachment.replace(program);
    this.#programId = program.info.id;
  }

  pin(): void {
    throw new NotSupportedError(`pinning a ${this.#attachment.type}`, {
      detail: "the kernel has no link object for it",
    });
  }

  detach(): void {
    if (!this.#isAttached) return;
    this.#isAttached = false;
    this.#attachment.detach();
  }

  close(): void {
    this.detach();
    this.#attachment.close?.();
  }
}

/** Several links that live and end together, such as one for each CPU. */
export class LinkGroup implements Link {
  readonly links: readonly Link[];
  readonly #type: string;

  constructor(type: string, links: readonly Link[]) {
    this.#type = type;
    this.links = links;
  }

  get info(): { readonly id: number; readonly programId: number; readonly type: string } {
    const first = this.links[0]?.info;
    return { id: first?.id ?? 0, programId: first?.programId ?? 0, type: this.#type };
  }

  isAttached(): boolean {
    return this.links.every((link) => link.isAttached());
  }

  update(program: Program): void {
    for (const link of this.links) link.update(program);
  }

  pin(): void {
    throw new NotSupportedError(`pinning several ${this.#type} links under one name`);
  }

  detach(): void {
    for (const link of this.links) link.detach();
  }

  close(): void {
    for (const link of this.links) link.close();
  }
}
