import type { Link, Program } from "@skep/machine";
import type { Descriptor } from "../sys/index.ts";
import { Attributes, bpfChecked } from "./attributes.ts";
import { linkInfo, type KernelLinkInfo } from "./info.ts";
import { descriptorOf } from "./map.ts";
import { pinObject } from "./pins.ts";

const BPF_F_REPLACE = 4;

/** A live attachment. Closing the last descriptor of one that is not pinned detaches it. */
export class LinuxLink implements Link {
  readonly #descriptor: Descriptor;
  /** What must live as long as the link, such as a perf event. */
  readonly #kept: readonly Descriptor[];
  #info: KernelLinkInfo;

  /** Takes over the descriptors. */
  constructor(descriptor: Descriptor, kept: readonly Descriptor[] = []) {
    this.#descriptor = descriptor;
    this.#kept = kept;
    this.#info = linkInfo(descriptor.fd);
  }

  get info(): KernelLinkInfo {
    return this.#info;
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  /** Throws EOPNOTSUPP for links that the kernel cannot update, such as netfilter's. */
  update(program: Program, options: { readonly expected?: Program } = {}): void {
    const attributes = new Attributes().u32(0, this.fd).u32(4, descriptorOf(program));
    if (options.expected) attributes.u32(8, BPF_F_REPLACE).u32(12, descriptorOf(options.expected));
    attributes.run("link_update", `of a ${this.#info.type} link`);
    this.#info = linkInfo(this.fd);
  }

  /** Asks the kernel again: after a detach the target is gone from it. */
  refresh(): KernelLinkInfo {
    this.#info = linkInfo(this.fd);
    return this.#info;
  }

  isAttached(): boolean {
    const { interface: device, cgroupId, namespaceInode } = this.refresh();
    return device !== 0 && cgroupId !== 0n && namespaceInode !== 0;
  }

  pin(path: string): void {
    pinObject(this.fd, path);
  }

  /** Takes the program off its hook now, also where the link is pinned. Throws EOPNOTSUPP where the kernel only detaches by closing. */
  detach(): void {
    bpfChecked("link_detach", new Attributes().u32(0, this.fd).try("link_detach"), `of a ${this.#info.type} link`);
  }

  close(): void {
    this.#descriptor.close();
    for (const each of this.#kept) each.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
