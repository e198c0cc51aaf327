/**
 * @module
 * The functions of `maps.bpf.ts` as user space has them: their types, and an error for who calls one.
 */
import type * as Kernel from "./maps.bpf.ts";
import { kernelOnly } from "../descriptors.ts";

export const getOrAdd: typeof Kernel.getOrAdd = kernelOnly("getOrAdd");
export const increment: typeof Kernel.increment = kernelOnly("increment");
export const countLog2: typeof Kernel.countLog2 = kernelOnly("countLog2");
export const countLinear: typeof Kernel.countLinear = kernelOnly("countLinear");
export const getIn: typeof Kernel.getIn = kernelOnly("getIn");
