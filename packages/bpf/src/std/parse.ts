/**
 * @module
 * The functions of `parse.bpf.ts` as user space has them: their types, and an error for who calls one.
 */
import type * as Kernel from "./parse.bpf.ts";
import { kernelOnly } from "../descriptors.ts";

export { type Transport } from "./parse.bpf.ts";
export const skipIpv6Extensions: typeof Kernel.skipIpv6Extensions = kernelOnly("skipIpv6Extensions");
export const findTcpOption: typeof Kernel.findTcpOption = kernelOnly("findTcpOption");
