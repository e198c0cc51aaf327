export * from "./diagnostic.ts";
export * from "./instruction.ts";
export * from "./opcode.ts";
export * from "./codec.ts";
export * from "./construct.ts";
export * from "./tables/helpers.ts";
export * from "./tables/types.ts";
export * from "./tables/sections.ts";
