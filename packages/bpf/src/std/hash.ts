/**
 * @module
 * The functions of `hash.bpf.ts` as user space has them: the same results, to the last bit.
 */
import type * as Kernel from "./hash.bpf.ts";
import * as compiled from "./generated/hash.ts";
import type { UserSide } from "./user-side.ts";

export const rotateLeft32: UserSide<typeof Kernel.rotateLeft32> = compiled.rotateLeft32;
export const rotateLeft64: UserSide<typeof Kernel.rotateLeft64> = compiled.rotateLeft64;
export const jhash3Words: UserSide<typeof Kernel.jhash3Words> = compiled.jhash3Words;
export const jhash2Words: UserSide<typeof Kernel.jhash2Words> = compiled.jhash2Words;
export const jhash1Word: UserSide<typeof Kernel.jhash1Word> = compiled.jhash1Word;
export const jhashWords: UserSide<typeof Kernel.jhashWords> = compiled.jhashWords;
export const jhash: UserSide<typeof Kernel.jhash> = compiled.jhash;
export const murmur3Words: UserSide<typeof Kernel.murmur3Words> = compiled.murmur3Words;
export const murmur3: UserSide<typeof Kernel.murmur3> = compiled.murmur3;
export const fnv1a32: UserSide<typeof Kernel.fnv1a32> = compiled.fnv1a32;
export const fnv1a64: UserSide<typeof Kernel.fnv1a64> = compiled.fnv1a64;
export const sipHashWords: UserSide<typeof Kernel.sipHashWords> = compiled.sipHashWords;
export const sipHash: UserSide<typeof Kernel.sipHash> = compiled.sipHash;
export const crc32: UserSide<typeof Kernel.crc32> = compiled.crc32;
export const crc32c: UserSide<typeof Kernel.crc32c> = compiled.crc32c;
