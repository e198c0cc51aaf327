/**
 * @module
 * The functions of `hash.bpf.ts` as user space has them: their types, and an error for who calls one.
 */
import type * as Kernel from "./hash.bpf.ts";
import { kernelOnly } from "../descriptors.ts";

export const rotateLeft32: typeof Kernel.rotateLeft32 = kernelOnly("rotateLeft32");
export const rotateLeft64: typeof Kernel.rotateLeft64 = kernelOnly("rotateLeft64");
export const jhash3Words: typeof Kernel.jhash3Words = kernelOnly("jhash3Words");
export const jhash2Words: typeof Kernel.jhash2Words = kernelOnly("jhash2Words");
export const jhash1Word: typeof Kernel.jhash1Word = kernelOnly("jhash1Word");
export const jhashWords: typeof Kernel.jhashWords = kernelOnly("jhashWords");
export const murmur3Words: typeof Kernel.murmur3Words = kernelOnly("murmur3Words");
export const fnv1a32: typeof Kernel.fnv1a32 = kernelOnly("fnv1a32");
export const fnv1a64: typeof Kernel.fnv1a64 = kernelOnly("fnv1a64");
export const sipHashWords: typeof Kernel.sipHashWords = kernelOnly("sipHashWords");
export const crc32: typeof Kernel.crc32 = kernelOnly("crc32");
