export type * from "./model.ts";
export * from "./addresses.ts";
export * from "./identities.ts";
export * from "./services.ts";
export * from "./world.ts";
