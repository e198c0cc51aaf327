export * from "./machine.ts";
export * from "./bpf/index.ts";
export * from "./net/index.ts";
export * from "./processes/index.ts";
export { CLOCK, clockTime, SyscallError, isErrno, openDescriptors, liveMappings } from "./sys/index.ts";
export * as netlink from "./netlink/index.ts";
