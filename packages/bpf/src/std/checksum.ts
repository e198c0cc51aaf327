/**
 * @module
 * The functions of `checksum.bpf.ts` as user space has them: the same results, to the last bit.
 */
import type * as Kernel from "./checksum.bpf.ts";
import * as compiled from "./generated/checksum.ts";
import type { UserSide } from "./user-side.ts";

export const foldChecksum: UserSide<typeof Kernel.foldChecksum> = compiled.foldChecksum;
export const replaceWord: UserSide<typeof Kernel.replaceWord> = compiled.replaceWord;
export const replaceLong: UserSide<typeof Kernel.replaceLong> = compiled.replaceLong;
export const internetChecksum: UserSide<typeof Kernel.internetChecksum> = compiled.internetChecksum;
export const replaceIpv6Address: UserSide<typeof Kernel.replaceIpv6Address> = compiled.replaceIpv6Address;
export const udpChecksum: UserSide<typeof Kernel.udpChecksum> = compiled.udpChecksum;
export const ipv4Checksum: UserSide<typeof Kernel.ipv4Checksum> = compiled.ipv4Checksum;
export const decrementTtl: UserSide<typeof Kernel.decrementTtl> = compiled.decrementTtl;
