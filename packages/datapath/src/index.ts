export type * from "./datapath.ts";
