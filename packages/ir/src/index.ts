export * from "./builder.ts";
export * from "./codes.ts";
export * from "./emit.ts";
export * from "./print.ts";
export * from "./verify.ts";
export type * from "./ir.ts";
