/**
 * @module
 * The functions of `checksum.bpf.ts` as user space has them: their types, and an error for who calls one.
 */
import type * as Kernel from "./checksum.bpf.ts";
import { kernelOnly } from "../descriptors.ts";

export const foldChecksum: typeof Kernel.foldChecksum = kernelOnly("foldChecksum");
export const replaceWord: typeof Kernel.replaceWord = kernelOnly("replaceWord");
export const replaceLong: typeof Kernel.replaceLong = kernelOnly("replaceLong");
export const ipv4Checksum: typeof Kernel.ipv4Checksum = kernelOnly("ipv4Checksum");
export const decrementTtl: typeof Kernel.decrementTtl = kernelOnly("decrementTtl");
