export type * from "./model.ts";
export * from "./addresses.ts";
export * from "./bandwidth.ts";
export * from "./identities.ts";
export * from "./load-balancer/index.ts";
export * from "./nodes.ts";
export type { ServiceSnapshot } from "./services.ts";
export { HOST_ENDPOINT, type PolicyChange, type PolicySettings } from "./policy-state.ts";
export * from "./world.ts";
