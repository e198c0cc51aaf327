export type * from "./map-state.ts";
