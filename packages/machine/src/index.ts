export type * from "./machine.ts";
export { describeLayout, layoutHash } from "./layout.ts";
