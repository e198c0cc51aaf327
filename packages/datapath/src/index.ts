export { flushTable } from "./collection.ts";
export { dropReasonText, dropReasonTexts, dropsNotRaised } from "./drop-reasons.ts";
export type * from "./datapath.ts";
export { decodeEvent, decodeEventAt, EVENT_SIZE } from "./events.ts";
export { openDatapath, type DatapathOptions, type Dispatch, type FlowLifetimes } from "./open.ts";
export { CONFIG_MAP, LayoutError } from "./layouts.ts";
export { datapathCalls, datapathMaps, datapathObject, openDatapathMap, readConfig } from "./program.ts";
export { datapathTables, type DatapathTable, type TableCell, type TableRow } from "./tables/index.ts";
export { DeniedPrefixes } from "./denied.ts";
