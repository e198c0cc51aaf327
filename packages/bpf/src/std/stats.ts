/**
 * @module
 * The functions of `stats.bpf.ts` as user space has them: those that need the kernel throw.
 */
import type * as Kernel from "./stats.bpf.ts";
import { kernelOnly } from "../descriptors.ts";
import * as compiled from "./generated/stats.ts";
import type { UserSide } from "./user-side.ts";

export { Rate, TokenBucket } from "./stats.bpf.ts";
export const log2: UserSide<typeof Kernel.log2> = compiled.log2;
export const linearSlot: UserSide<typeof Kernel.linearSlot> = compiled.linearSlot;
export const takeTokensAt: UserSide<typeof Kernel.takeTokensAt> = compiled.takeTokensAt;
export const takeTokens: typeof Kernel.takeTokens = kernelOnly("takeTokens");
