export * from "./builder.ts";
export type * from "./ir.ts";
