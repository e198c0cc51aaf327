export { AttachError } from "./attach/common.ts";
export { autoTarget } from "./attach/auto.ts";
export { attachPersistent, detachPersistent, type PersistentTarget } from "./attach/persistent.ts";
export { readIterator } from "./attach/iterator.ts";
export { parseUsdtArguments, type UsdtArgument } from "./attach/usdt-arguments.ts";
export { UserFile, UserFileError, type StaticProbe, type UserSymbol } from "./elf-file.ts";
export * from "./objects.ts";
export { PinKindError } from "./pins.ts";
export { programCode, type KernelLine, type ProgramCode } from "./code.ts";
export { readStream, type StreamName } from "./streams.ts";
export { queryTask, type TaskAttachment } from "./task-query.ts";
export { BtfError } from "./btf-load.ts";
export { MissingCapabilityError } from "./capabilities.ts";
export { ConfigError } from "./config.ts";
export { LinuxBpf, type LinuxBpfOptions } from "./machine.ts";
export type { LinuxCollection, LinuxLoadOptions } from "./load.ts";
export { ManualLink, LinkGroup } from "./manual-link.ts";
export { MappedMemory } from "./mapped.ts";
export { PerfReader, type PerfOptions } from "./perf-ring.ts";
export {
  features,
  InconclusiveError,
  type InstructionFeature,
  linkTypesSince,
  mapTypesSince,
  programTypesSince,
} from "./probes/index.ts";
export type { Attached, QueryResult, QueryTarget } from "./query.ts";
export { enableStatistics, fdInfo, memoryOf } from "./statistics.ts";
export { BpfToken } from "./token.ts";
export { UserRingWriter } from "./user-ring.ts";
export { kernelTypes, moduleTypes, moduleNames } from "./kernel-btf.ts";
export { kconfigSource, kernelConfig } from "./kernel-config.ts";
export { kernelSymbolAddress, kernelSymbolsAt } from "./kernel-symbols.ts";
export { LinuxLink } from "./link.ts";
export { LinuxMap, MapOperationError } from "./map.ts";
export { LinuxProgram } from "./program.ts";
export { LinuxRingReader } from "./ring.ts";
export { MapMismatchError } from "./map-errors.ts";
export { NotSupportedError } from "./not-supported.ts";
export { StructOpsError } from "./struct-ops.ts";
export { VerifierError } from "./verifier-error.ts";
export * from "./verifier-log.ts";
export { mapInfoBytes } from "./info.ts";
export type { KernelLinkInfo, KernelMapInfo, KernelProgramInfo } from "./info.ts";
export { unmountPins } from "./pins.ts";
export { followTraceLog, isTraceOn, type TraceLog } from "./trace-log.ts";
export { onlineCpus, possibleCpus } from "./cpus.ts";
