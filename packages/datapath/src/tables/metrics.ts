/**
 * @module
 * Packets by verdict and direction.
 */
import { readCounters } from "../counters.ts";
import { dropReasonText } from "../drop-reasons.ts";
import { table, text } from "./table.ts";

export const metrics = table({
  name: "metrics",
  summary: "packets by verdict and direction",
  map: "skep_metrics",
  columns: [
    ["REASON", text("text")],
    ["CODE", text("reason")],
    ["DIRECTION", text("direction")],
    ["PACKETS", text("packets")],
    ["BYTES", text("bytes")],
  ],
  *rows(map) {
    for (const counter of readCounters(map))
      yield { ...counter, text: counter.reason === 0 ? "Forwarded" : dropReasonText(counter.reason) };
  },
});
