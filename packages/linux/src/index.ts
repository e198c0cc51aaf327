export * from "./machine.ts";
export * from "./bpf/index.ts";
export * from "./net/index.ts";
export * from "./processes/index.ts";
export { SyscallError, isErrno, openDescriptors, liveMappings } from "./sys/index.ts";
