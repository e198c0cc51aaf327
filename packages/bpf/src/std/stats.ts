/**
 * @module
 * The functions of `stats.bpf.ts` as user space has them: their types, and an error for who calls one.
 */
import type * as Kernel from "./stats.bpf.ts";
import { kernelOnly } from "../descriptors.ts";

export { TokenBucket, type Rate } from "./stats.bpf.ts";
export const log2: typeof Kernel.log2 = kernelOnly("log2");
export const linearSlot: typeof Kernel.linearSlot = kernelOnly("linearSlot");
export const takeTokensAt: typeof Kernel.takeTokensAt = kernelOnly("takeTokensAt");
export const takeTokens: typeof Kernel.takeTokens = kernelOnly("takeTokens");
