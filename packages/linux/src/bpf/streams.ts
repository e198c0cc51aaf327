import type { Program } from "@skep/machine";
import { Attributes, bpfChecked } from "./attributes.ts";
import { descriptorOf } from "./map.ts";
import { NotSupportedError } from "./not-supported.ts";

/** What programs print to: BPF_STREAM_STDOUT, BPF_STREAM_STDERR. */
export type StreamName = "stdout" | "stderr";

const numbers = { stdout: 1, stderr: 2 } as const;

/**
 * Takes what a program has printed to one of its streams, and what the kernel reports of it there (Linux 6.17). Empty where there is
 * nothing. Throws `NotSupportedError` on older kernels.
 */
export function readStream(program: Program, stream: StreamName): Uint8Array {
  const parts: Uint8Array[] = [];
  for (;;) {
    const buffer = new Uint8Array(4096);
    const attributes = new Attributes()
      .pointer(0, buffer)
      .u32(8, buffer.byteLength)
      .u32(12, numbers[stream])
      .u32(16, descriptorOf(program));
    const result = attributes.try("prog_stream_read_by_fd");
    if (result === -22) throw new NotSupportedError("streams of programs", { minKernel: "6.17" });
    const count = bpfChecked("prog_stream_read_by_fd", result);
    parts.push(buffer.subarray(0, count));
    if (count < buffer.byteLength) break;
  }
  return new Uint8Array(parts.flatMap((part) => [...part]));
}
