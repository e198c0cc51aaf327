export type * from "./machine.ts";
export type * from "./app.ts";
export { describeLayout } from "./layout.ts";
export { ConversionError, convertRows, type RowConversion } from "./conversion.ts";
export { LayoutTextError } from "./parse-layout.ts";
export { compareCodecs, LayoutMismatchError, type LayoutDifference } from "./check.ts";
export { bytesCodec, codecOfType, type PlacedCodec, type ValueCodec } from "./codec/codec.ts";
export type { FieldPath, FieldReader, FieldValue, WidePath } from "./codec/fields.ts";
export { ShapeError } from "./codec/shape.ts";
export { EventStream, EventStreamError, type EventOptions } from "./events.ts";
export { load } from "./load.ts";
export { decodeValues, encodeValues, type PerCpu } from "./per-cpu.ts";
export {
  mapOfMaps,
  MapTypeError,
  perCpuMap,
  progArray,
  references,
  stackTraces,
  typedBloomFilter,
  typedMap,
  typedQueue,
  type MapTypes,
  type PerCpuMap,
  type TypedBloomFilter,
  type TypedMap,
  type TypedMapOfMaps,
  type TypedProgArray,
  type TypedQueue,
  type TypedReferences,
  type TypedStacks,
  type TypedStorage,
} from "./typed-map.ts";
export { openVariable } from "./variables.ts";
export { splitRows } from "./rows.ts";
export { TUNNEL_PORTS } from "./machine.ts";
