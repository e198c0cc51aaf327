export type * from "./address.ts";
