/**
 * @module
 * Structs of the kernel's interface that helpers give (include/uapi/linux/bpf.h): read through rewritten loads, as contexts are.
 */
import { arrayType, BOOL, INTS, type Field, type MemoryType, type StructT } from "./types.ts";

function struct(name: string, size: number, fields: readonly (readonly [string, MemoryType, number])[]): StructT {
  const placed: Field[] = fields.map(([field, type, offset]) => ({ name: field, type, offset, shift: 0 }));
  return { kind: "struct", name, fields: placed, size, align: 8 };
}

const { u32, be16, be32, u64 } = INTS;
const words = arrayType(be32, 4);

/** struct bpf_sock. */
export const SOCKET: StructT = struct("bpf_sock", 80, [
  ["boundDevIf", u32, 0],
  ["family", u32, 4],
  ["type", u32, 8],
  ["protocol", u32, 12],
  ["mark", u32, 16],
  ["priority", u32, 20],
  ["srcIp4", be32, 24],
  ["srcIp6", words, 28],
  ["srcPort", u32, 44],
  ["dstPort", be16, 48],
  ["dstIp4", be32, 52],
  ["dstIp6", words, 56],
  ["state", u32, 72],
]);

/** struct bpf_tcp_sock. */
export const TCP_SOCKET: StructT = struct("bpf_tcp_sock", 96, [
  ["sndCwnd", u32, 0],
  ["srttUs", u32, 4],
  ["rttMin", u32, 8],
  ["sndSsthresh", u32, 12],
  ["rcvNxt", u32, 16],
  ["sndNxt", u32, 20],
  ["sndUna", u32, 24],
  ["mssCache", u32, 28],
  ["packetsOut", u32, 44],
  ["retransOut", u32, 48],
  ["totalRetrans", u32, 52],
  ["segsIn", u32, 56],
  ["bytesReceived", u64, 80],
  ["bytesAcked", u64, 88],
]);

const { u8, u16 } = INTS;

/** struct bpf_dynptr: what is in it is the kernel's matter. */
export const DYNPTR: StructT = struct("bpf_dynptr", 16, []);

/** struct bpf_flow_keys. */
export const FLOW_KEYS: StructT = struct("bpf_flow_keys", 56, [
  ["nhoff", u16, 0],
  ["thoff", u16, 2],
  ["addrProto", u16, 4],
  ["isFrag", BOOL, 6],
  ["isFirstFrag", BOOL, 7],
  ["isEncap", BOOL, 8],
  ["ipProto", u8, 9],
  ["nProto", be16, 10],
  ["sport", be16, 12],
  ["dport", be16, 14],
  ["ipv4Src", be32, 16],
  ["ipv4Dst", be32, 20],
  ["ipv6Src", words, 16],
  ["ipv6Dst", words, 32],
  ["flags", u32, 48],
  ["flowLabel", be32, 52],
]);
