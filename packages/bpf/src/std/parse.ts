/**
 * @module
 * The functions of `parse.bpf.ts` as user space has them: those that need the kernel throw.
 */
import type * as Kernel from "./parse.bpf.ts";
import { kernelOnly } from "../descriptors.ts";
import * as compiled from "./generated/parse.ts";
import type { UserSide } from "./user-side.ts";

export { type Inner, type Network, type Question, type Transport } from "./parse.bpf.ts";
export const greLength: UserSide<typeof Kernel.greLength> = compiled.greLength;
export const dnsNameHash: UserSide<typeof Kernel.dnsNameHash> = compiled.dnsNameHash;
export const skipIpv6Extensions: typeof Kernel.skipIpv6Extensions = kernelOnly("skipIpv6Extensions");
export const findTcpOption: typeof Kernel.findTcpOption = kernelOnly("findTcpOption");
export const skipVlans: typeof Kernel.skipVlans = kernelOnly("skipVlans");
export const findIpv4Option: typeof Kernel.findIpv4Option = kernelOnly("findIpv4Option");
export const innerOf: typeof Kernel.innerOf = kernelOnly("innerOf");
export const findGeneveOption: typeof Kernel.findGeneveOption = kernelOnly("findGeneveOption");
export const dnsQuestion: typeof Kernel.dnsQuestion = kernelOnly("dnsQuestion");
