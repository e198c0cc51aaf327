import { SyscallError } from "../sys/index.ts";
import type { Acknowledgement } from "./message.ts";

/** A request that the kernel refused. */
export class NetlinkError extends SyscallError {
  override readonly name: string = "NetlinkError";
  /** What the kernel said beside the number (extended acknowledgement), such as `Unknown device type`. */
  readonly kernelMessage: string | null;
  /** Dotted name of the attribute that the kernel pointed at, such as `info.data.id`. */
  readonly attribute: string | null;

  constructor(call: string, acknowledgement: Acknowledgement, attribute: string | null = null) {
    const { errno, message, missingType } = acknowledgement;
    const words: string[] = [];
    if (message) words.push(message);
    if (attribute) words.push(`(attribute ${attribute})`);
    if (missingType !== undefined) words.push(`(attribute ${missingType} is missing)`);
    super(call, errno, words.length > 0 ? { detail: `"${words.join(" ")}"` } : {});
    this.kernelMessage = message ?? null;
    this.attribute = attribute;
  }
}

/** A dump that changed while it was read, each time that it was tried. */
export class InterruptedDumpError extends Error {
  override readonly name = "InterruptedDumpError";
}
