/**
 * @module
 * What the helpers of `@skep/bpf` take and give. The kernel's name is the same in snake case.
 */
import { INTS, type IntT } from "../types.ts";

/**
 * What stands for one argument: an integer of that type, `net16` one in network order, `ctx` the context, `sock` a socket or the context,
 * `kernel` a pointer to a kernel structure,
 * `mem` a pointer to a value, `sized` the same followed by its size, `sized?` where it may be null, `map` a map, `text` a string, and without
 * an argument in the source `null`, `0`.
 */
export type Parameter =
  | "u16"
  | "u32"
  | "i32"
  | "u64"
  | "net16"
  | "ctx"
  | "sock"
  | "kernel"
  | "mem"
  | "sized"
  | "sized?"
  | "map"
  | "text"
  | "null"
  | "0";

export interface Signature {
  readonly parameters: readonly Parameter[];
  /** `socket` and `tcpSocket`: a kernel object or null. */
  readonly returns: IntT | "socket" | "tcpSocket" | null;
}

type Result = keyof typeof INTS | "void" | "socket" | "tcpSocket";

function give(result: Result, parameters = ""): Signature {
  const returns = result === "void" ? null : result === "socket" || result === "tcpSocket" ? result : INTS[result];
  return { parameters: parameters === "" ? [] : (parameters.split(" ") as Parameter[]), returns };
}

export const HELPERS: Readonly<Record<string, Signature>> = {
  // Time, chance, place.
  ktimeGetNs: give("u64"),
  ktimeGetBootNs: give("u64"),
  ktimeGetCoarseNs: give("u64"),
  ktimeGetTaiNs: give("u64"),
  jiffies64: give("u64"),
  getPrandomU32: give("u32"),
  getSmpProcessorId: give("u32"),
  getNumaNodeId: give("u32"),
  // The current task.
  getCurrentPidTgid: give("u64"),
  getCurrentUidGid: give("u64"),
  getCurrentTask: give("u64"),
  getCurrentCgroupId: give("u64"),
  getCurrentAncestorCgroupId: give("u64", "i32"),
  currentTaskUnderCgroup: give("i64", "map u32"),
  getCurrentComm: give("i64", "sized"),
  sendSignal: give("i64", "u32"),
  sendSignalThread: give("i64", "u32"),
  // Memory.
  probeReadKernel: give("i64", "sized u64"),
  probeReadUser: give("i64", "sized u64"),
  probeReadKernelStr: give("i64", "sized u64"),
  probeReadUserStr: give("i64", "sized u64"),
  copyFromUser: give("i64", "sized u64"),
  strtol: give("i64", "sized u64 mem"),
  strtoul: give("i64", "sized u64 mem"),
  strncmp: give("i64", "sized text"),
  probeRead: give("i64", "sized u64"),
  probeReadStr: give("i64", "sized u64"),
  probeWriteUser: give("i64", "u64 sized"),
  copyFromUserTask: give("i64", "sized u64 kernel u64"),
  getNsCurrentPidTgid: give("i64", "u64 u64 sized"),
  kallsymsLookupName: give("i64", "sized i32 mem"),
  // The task and files.
  getTaskStack: give("i64", "kernel sized u64"),
  dPath: give("i64", "kernel sized"),
  imaInodeHash: give("i64", "kernel sized"),
  imaFileHash: give("i64", "kernel sized"),
  bprmOptsSet: give("i64", "kernel u64"),
  seqWrite: give("i64", "kernel sized"),
  tcpSendAck: give("i64", "kernel u32"),
  skbOutput: give("i64", "kernel map u64 sized"),
  xdpOutput: give("i64", "kernel map u64 sized"),
  sysBpf: give("i64", "i32 sized"),
  sysClose: give("i64", "u32"),
  btfFindByNameKind: give("i64", "sized i32 i32"),
  // Tracing.
  readBranchRecords: give("i64", "ctx sized u64"),
  getBranchSnapshot: give("i64", "sized u64"),
  getFuncArg: give("i64", "ctx u32 mem"),
  getFuncRet: give("i64", "ctx mem"),
  getFuncArgCnt: give("i64", "ctx"),
  perfEventOutput: give("i64", "ctx map u64 sized"),
  perfEventRead: give("u64", "map u64"),
  perfEventReadValue: give("i64", "map u64 sized"),
  perfProgReadValue: give("i64", "ctx sized"),
  getStackid: give("i64", "ctx map u64"),
  getStack: give("i64", "ctx sized u64"),
  getFuncIp: give("u64", "ctx"),
  getAttachCookie: give("u64", "ctx"),
  overrideReturn: give("i64", "ctx u64"),
  // Sockets.
  getSocketCookie: give("u64", "sock"),
  getNetnsCookie: give("u64", "ctx"),
  getSocketUid: give("u32", "ctx"),
  setRetval: give("i32", "i32"),
  getRetval: give("i32"),
  setsockopt: give("i64", "sock i32 i32 sized"),
  getsockopt: give("i64", "sock i32 i32 sized"),
  bind: give("i64", "ctx sized"),
  skLookupTcp: give("socket", "ctx sized u64 u64"),
  skLookupUdp: give("socket", "ctx sized u64 u64"),
  skcLookupTcp: give("socket", "ctx sized u64 u64"),
  skRelease: give("i64", "sock"),
  skFullsock: give("socket", "sock"),
  tcpSock: give("tcpSocket", "sock"),
  getListenerSock: give("socket", "sock"),
  skAssign: give("i64", "ctx sock u64"),
  skCgroupId: give("u64", "sock"),
  skAncestorCgroupId: give("u64", "sock i32"),
  sockOpsCbFlagsSet: give("i64", "ctx i32"),
  loadHdrOpt: give("i64", "ctx sized u64"),
  storeHdrOpt: give("i64", "ctx sized u64"),
  reserveHdrOpt: give("i64", "ctx u32 u64"),
  sockMapUpdate: give("i64", "ctx map mem u64"),
  sockHashUpdate: give("i64", "ctx map mem u64"),
  skRedirectMap: give("i64", "ctx map u32 u64"),
  skRedirectHash: give("i64", "ctx map mem u64"),
  msgRedirectMap: give("i64", "ctx map u32 u64"),
  msgRedirectHash: give("i64", "ctx map mem u64"),
  msgApplyBytes: give("i64", "ctx u32"),
  msgCorkBytes: give("i64", "ctx u32"),
  msgPullData: give("i64", "ctx u32 u32 u64"),
  msgPushData: give("i64", "ctx u32 u32 u64"),
  msgPopData: give("i64", "ctx u32 u32 u64"),
  skSelectReuseport: give("i64", "ctx map mem u64"),
  sysctlGetName: give("i64", "ctx sized u64"),
  sysctlGetCurrentValue: give("i64", "ctx sized"),
  sysctlGetNewValue: give("i64", "ctx sized"),
  sysctlSetNewValue: give("i64", "ctx sized"),
  tcpCheckSyncookie: give("i64", "sock sized sized"),
  tcpGenSyncookie: give("i64", "sock sized sized"),
  tcpRawGenSyncookieIpv4: give("i64", "mem sized"),
  tcpRawGenSyncookieIpv6: give("i64", "mem sized"),
  tcpRawCheckSyncookieIpv4: give("i64", "mem mem"),
  tcpRawCheckSyncookieIpv6: give("i64", "mem mem"),
  rcRepeat: give("i64", "ctx"),
  rcKeydown: give("i64", "ctx u32 u64 u32"),
  rcPointerRel: give("i64", "ctx i32 i32"),
  // Packets.
  skbGetXfrmState: give("i64", "ctx u32 sized u64"),
  lwtSeg6StoreBytes: give("i64", "ctx u32 sized"),
  lwtSeg6AdjustSrh: give("i64", "ctx u32 i32"),
  lwtSeg6Action: give("i64", "ctx u32 sized"),
  redirect: give("i32", "u32 u64"),
  redirectPeer: give("i32", "u32 u64"),
  redirectNeigh: give("i32", "u32 null 0 0"),
  redirectMap: give("i32", "map u64 u64"),
  cloneRedirect: give("i64", "ctx u32 u64"),
  skbPullData: give("i64", "ctx u32"),
  skbLoadBytes: give("i64", "ctx u32 sized"),
  skbLoadBytesRelative: give("i64", "ctx u32 sized u32"),
  skbStoreBytes: give("i64", "ctx u32 sized u64"),
  l3CsumReplace: give("i64", "ctx u32 u64 u64 u64"),
  l4CsumReplace: give("i64", "ctx u32 u64 u64 u64"),
  csumDiff: give("i64", "sized? sized? u32"),
  csumUpdate: give("i64", "ctx u32"),
  csumLevel: give("i64", "ctx u64"),
  skbVlanPush: give("i64", "ctx net16 u16"),
  skbVlanPop: give("i64", "ctx"),
  skbChangeProto: give("i64", "ctx net16 u64"),
  skbChangeType: give("i64", "ctx u32"),
  skbChangeTail: give("i64", "ctx u32 u64"),
  skbChangeHead: give("i64", "ctx u32 u64"),
  skbAdjustRoom: give("i64", "ctx i32 u32 u64"),
  skbGetTunnelKey: give("i64", "ctx sized u64"),
  skbSetTunnelKey: give("i64", "ctx sized u64"),
  skbGetTunnelOpt: give("i64", "ctx sized"),
  skbSetTunnelOpt: give("i64", "ctx sized"),
  skbUnderCgroup: give("i64", "ctx map u32"),
  skbCgroupId: give("u64", "ctx"),
  skbAncestorCgroupId: give("u64", "ctx i32"),
  skbCgroupClassid: give("u64", "ctx"),
  skbEcnSetCe: give("i64", "ctx"),
  skbSetTstamp: give("i64", "ctx u64 u32"),
  getCgroupClassid: give("u32", "ctx"),
  getRouteRealm: give("u32", "ctx"),
  getHashRecalc: give("u32", "ctx"),
  setHashInvalid: give("void", "ctx"),
  setHash: give("i64", "ctx u32"),
  fibLookup: give("i64", "ctx sized u32"),
  checkMtu: give("i64", "ctx u32 mem i32 u64"),
  lwtPushEncap: give("i64", "ctx u32 sized"),
  xdpAdjustHead: give("i32", "ctx i32"),
  xdpAdjustTail: give("i32", "ctx i32"),
  xdpAdjustMeta: give("i32", "ctx i32"),
  xdpGetBuffLen: give("u64", "ctx"),
  xdpLoadBytes: give("i64", "ctx u32 sized"),
  xdpStoreBytes: give("i64", "ctx u32 sized"),
};
