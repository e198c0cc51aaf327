export type * from "./api.ts";
export * from "./runtime.ts";
export { i16, i32, i64, i8, u16, u32, u64, u8 } from "./runtime.ts";
export * from "./helpers.ts";
export { text } from "./text.ts";
export {
  KernelOnlyError,
  type MapDescriptor,
  type MapKind,
  type ProgramDescriptor,
  type VariableDescriptor,
} from "./descriptors.ts";
export {
  codecOf,
  type AggregateCodec,
  type ArrayCodec,
  type BitsCodec,
  type Codec,
  type IntCodec,
  type Member as CodecMember,
} from "./codec.ts";
export { layoutStruct, layoutUnion, type FieldPlace, type FieldShape, type Layout } from "./layout.ts";
export { PROGRAM_KINDS, type ProgramKind } from "./programs.ts";
