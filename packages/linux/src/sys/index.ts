/**
 * @module
 * System calls, for the rest of this package. `library.ts` alone touches native code; what is exported here takes and gives plain
 * values and owned objects.
 */
export { errno, codeOf, describeErrno } from "./errno.ts";
export { SyscallError, isErrno, type SyscallContext } from "./error.ts";
export { rawSyscall, syscall, rawBpf, trimAllocator, type Argument } from "./library.ts";
export type { SyscallName } from "./numbers.ts";
export { withPinned, keepUntilHere, Scratch, cString, fromCString } from "./memory.ts";
export { Descriptor, openDescriptors } from "./descriptor.ts";
export { Mapping, liveMappings, MADV, PROT, MAP, PAGE_SIZE } from "./mapping.ts";
export * from "./file.ts";
export * from "./socket.ts";
export * from "./namespace.ts";
export * from "./event.ts";
export * from "./clock.ts";
export { effectiveCapabilities } from "./privilege.ts";
