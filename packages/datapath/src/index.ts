export { flushTable } from "./collection.ts";
export { dropReasonText, dropReasonTexts, dropsNotRaised } from "./drop-reasons.ts";
export type * from "./datapath.ts";
export { decodeEvent, decodeEventAt, EVENT_SIZE } from "./events.ts";
export { LayoutError } from "./layouts.ts";
export { openDatapath, type DatapathOptions, type FlowLifetimes } from "./open.ts";
export { datapathTables, type DatapathTable, type TableCell, type TableRow } from "./tables/index.ts";
