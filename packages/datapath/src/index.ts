export type * from "./datapath.ts";
export { decodeEvent } from "./events.ts";
export { LayoutError, openDatapath, type DatapathOptions } from "./open.ts";
