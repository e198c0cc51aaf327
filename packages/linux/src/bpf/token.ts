import { Descriptor, O, openFile } from "../sys/index.ts";
import { Attributes } from "./attributes.ts";

/** A right to some BPF commands that the owner of a BPF file system delegated to a user namespace (Linux 6.9). */
export class BpfToken {
  readonly #descriptor: Descriptor;

  /** Takes over the descriptor. */
  constructor(descriptor: Descriptor) {
    this.#descriptor = descriptor;
  }

  get fd(): number {
    return this.#descriptor.fd;
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * BPF_TOKEN_CREATE from a mount of a BPF file system that has `delegate_*` options. The mount's root itself is opened: a descriptor of
 * the mount alone is refused. Throws EOPNOTSUPP in the initial user namespace.
 */
export function createToken(mountPoint: string): BpfToken {
  const folder = openFile(mountPoint, O.RDONLY | O.DIRECTORY, { kind: "token folder" });
  try {
    return new BpfToken(new Descriptor(new Attributes().u32(4, folder.fd).run("token_create", mountPoint), "token"));
  } finally {
    folder.close();
  }
}
