export { FUNCTION_BASE, MAP_BASE, prepare } from "./code.ts";
export type { Code, CodeOptions } from "./code.ts";
export { Cpu } from "./cpu.ts";
export type { CpuOptions, HelperFunction } from "./cpu.ts";
export * from "./error.ts";
export { Memory, Region } from "./memory.ts";
export type { RegionKind } from "./memory.ts";
