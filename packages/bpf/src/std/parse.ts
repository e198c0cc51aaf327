/**
 * @module
 * The functions of `parse.bpf.ts` as user space has them: their types, and an error for who calls one.
 */
import type * as Kernel from "./parse.bpf.ts";
import { kernelOnly } from "../descriptors.ts";

export { type Inner, type Network, type Question, type Transport } from "./parse.bpf.ts";
export const skipIpv6Extensions: typeof Kernel.skipIpv6Extensions = kernelOnly("skipIpv6Extensions");
export const findTcpOption: typeof Kernel.findTcpOption = kernelOnly("findTcpOption");
export const skipVlans: typeof Kernel.skipVlans = kernelOnly("skipVlans");
export const findIpv4Option: typeof Kernel.findIpv4Option = kernelOnly("findIpv4Option");
export const greLength: typeof Kernel.greLength = kernelOnly("greLength");
export const innerOf: typeof Kernel.innerOf = kernelOnly("innerOf");
export const findGeneveOption: typeof Kernel.findGeneveOption = kernelOnly("findGeneveOption");
export const dnsQuestion: typeof Kernel.dnsQuestion = kernelOnly("dnsQuestion");
