export type * from "./btf/types.ts";
export type * from "./spec.ts";
