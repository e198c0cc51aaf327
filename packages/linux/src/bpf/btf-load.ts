import { Descriptor } from "../sys/index.ts";
import { Attributes, bpfError } from "./attributes.ts";

/** The kernel refused an object's types. */
export class BtfError extends Error {
  override readonly name = "BtfError";
  readonly log: string;

  constructor(log: string, cause: unknown) {
    const lines = log.split("\n").filter((line) => line.trim() !== "");
    super(`the kernel refuses the object's types: ${lines.at(-1) ?? "it gives no reason"}`, { cause });
    this.log = log;
  }
}

/** BPF_BTF_LOAD. Throws `BtfError` with the kernel's log, or `SyscallError` where that is not what the kernel minds. */
export function loadBtf(bytes: Uint8Array): Descriptor {
  const result = new Attributes().pointer(0, bytes).u32(16, bytes.byteLength).try("btf_load");
  if (result >= 0) return new Descriptor(result, "btf");
  const cause = bpfError("btf_load", -result);
  if (cause.code === "EPERM") throw cause;
  const log = new Uint8Array(64 * 1024);
  const again = new Attributes()
    .pointer(0, bytes)
    .pointer(8, log)
    .u32(16, bytes.byteLength)
    .u32(20, log.byteLength)
    .u32(24, 1)
    .try("btf_load");
  if (again >= 0) return new Descriptor(again, "btf");
  const text = new TextDecoder().decode(log.subarray(0, Math.max(0, log.indexOf(0))));
  throw text === "" ? cause : new BtfError(text, cause);
}
