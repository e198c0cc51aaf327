/**
 * @module
 * The kernel's helpers as user space has them: their types, and an error for who calls one.
 */
import type * as Kernel from "./kernel.ts";
import { kernelOnly } from "./descriptors.ts";

export const ktimeGetNs: typeof Kernel.ktimeGetNs = kernelOnly("ktimeGetNs");
export const ktimeGetBootNs: typeof Kernel.ktimeGetBootNs = kernelOnly("ktimeGetBootNs");
export const ktimeGetCoarseNs: typeof Kernel.ktimeGetCoarseNs = kernelOnly("ktimeGetCoarseNs");
export const jiffies64: typeof Kernel.jiffies64 = kernelOnly("jiffies64");
export const getPrandomU32: typeof Kernel.getPrandomU32 = kernelOnly("getPrandomU32");
export const getSmpProcessorId: typeof Kernel.getSmpProcessorId = kernelOnly("getSmpProcessorId");
export const getNumaNodeId: typeof Kernel.getNumaNodeId = kernelOnly("getNumaNodeId");
export const getCurrentPidTgid: typeof Kernel.getCurrentPidTgid = kernelOnly("getCurrentPidTgid");
export const getCurrentUidGid: typeof Kernel.getCurrentUidGid = kernelOnly("getCurrentUidGid");
export const getCurrentTask: typeof Kernel.getCurrentTask = kernelOnly("getCurrentTask");
export const getCurrentCgroupId: typeof Kernel.getCurrentCgroupId = kernelOnly("getCurrentCgroupId");
export const getCurrentAncestorCgroupId: typeof Kernel.getCurrentAncestorCgroupId =
  kernelOnly("getCurrentAncestorCgroupId");
export const getCurrentComm: typeof Kernel.getCurrentComm = kernelOnly("getCurrentComm");
export const probeReadKernel: typeof Kernel.probeReadKernel = kernelOnly("probeReadKernel");
export const probeReadUser: typeof Kernel.probeReadUser = kernelOnly("probeReadUser");
export const probeReadKernelStr: typeof Kernel.probeReadKernelStr = kernelOnly("probeReadKernelStr");
export const probeReadUserStr: typeof Kernel.probeReadUserStr = kernelOnly("probeReadUserStr");
export const sendSignal: typeof Kernel.sendSignal = kernelOnly("sendSignal");
export const getSocketCookie: typeof Kernel.getSocketCookie = kernelOnly("getSocketCookie");
export const getNetnsCookie: typeof Kernel.getNetnsCookie = kernelOnly("getNetnsCookie");
export const setRetval: typeof Kernel.setRetval = kernelOnly("setRetval");
export const getRetval: typeof Kernel.getRetval = kernelOnly("getRetval");
export const getSocketUid: typeof Kernel.getSocketUid = kernelOnly("getSocketUid");
export const redirect: typeof Kernel.redirect = kernelOnly("redirect");
export const redirectPeer: typeof Kernel.redirectPeer = kernelOnly("redirectPeer");
export const redirectNeigh: typeof Kernel.redirectNeigh = kernelOnly("redirectNeigh");
export const cloneRedirect: typeof Kernel.cloneRedirect = kernelOnly("cloneRedirect");
export const skbPullData: typeof Kernel.skbPullData = kernelOnly("skbPullData");
export const skbLoadBytes: typeof Kernel.skbLoadBytes = kernelOnly("skbLoadBytes");
export const skbStoreBytes: typeof Kernel.skbStoreBytes = kernelOnly("skbStoreBytes");
export const l3CsumReplace: typeof Kernel.l3CsumReplace = kernelOnly("l3CsumReplace");
export const l4CsumReplace: typeof Kernel.l4CsumReplace = kernelOnly("l4CsumReplace");
export const csumDiff: typeof Kernel.csumDiff = kernelOnly("csumDiff");
export const csumUpdate: typeof Kernel.csumUpdate = kernelOnly("csumUpdate");
export const skbVlanPush: typeof Kernel.skbVlanPush = kernelOnly("skbVlanPush");
export const skbVlanPop: typeof Kernel.skbVlanPop = kernelOnly("skbVlanPop");
export const skbChangeProto: typeof Kernel.skbChangeProto = kernelOnly("skbChangeProto");
export const skbChangeType: typeof Kernel.skbChangeType = kernelOnly("skbChangeType");
export const skbChangeTail: typeof Kernel.skbChangeTail = kernelOnly("skbChangeTail");
export const skbChangeHead: typeof Kernel.skbChangeHead = kernelOnly("skbChangeHead");
export const skbAdjustRoom: typeof Kernel.skbAdjustRoom = kernelOnly("skbAdjustRoom");
export const skbGetTunnelKey: typeof Kernel.skbGetTunnelKey = kernelOnly("skbGetTunnelKey");
export const skbSetTunnelKey: typeof Kernel.skbSetTunnelKey = kernelOnly("skbSetTunnelKey");
export const getHashRecalc: typeof Kernel.getHashRecalc = kernelOnly("getHashRecalc");
export const setHashInvalid: typeof Kernel.setHashInvalid = kernelOnly("setHashInvalid");
export const skbCgroupId: typeof Kernel.skbCgroupId = kernelOnly("skbCgroupId");
export const fibLookup: typeof Kernel.fibLookup = kernelOnly("fibLookup");
export const xdpAdjustHead: typeof Kernel.xdpAdjustHead = kernelOnly("xdpAdjustHead");
export const xdpAdjustTail: typeof Kernel.xdpAdjustTail = kernelOnly("xdpAdjustTail");
export const xdpAdjustMeta: typeof Kernel.xdpAdjustMeta = kernelOnly("xdpAdjustMeta");
export const atomicAdd: typeof Kernel.atomicAdd = kernelOnly("atomicAdd");
export const atomicAnd: typeof Kernel.atomicAnd = kernelOnly("atomicAnd");
export const atomicOr: typeof Kernel.atomicOr = kernelOnly("atomicOr");
export const atomicXor: typeof Kernel.atomicXor = kernelOnly("atomicXor");
export const atomicExchange: typeof Kernel.atomicExchange = kernelOnly("atomicExchange");
export const atomicCompareExchange: typeof Kernel.atomicCompareExchange = kernelOnly("atomicCompareExchange");
