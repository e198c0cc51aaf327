export * from "./diagnostic.ts";
export * from "./instruction.ts";
