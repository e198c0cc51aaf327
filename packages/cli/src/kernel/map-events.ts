import { usageError } from "../errors.ts";
import { note, write } from "../output/print.ts";
import { hexList } from "./map-dump.ts";
import { hexDump } from "./prog-run.ts";
import { oneMap } from "./select.ts";
import type { Session } from "./session.ts";
import { toJson } from "./tree.ts";
import { Limit } from "./until.ts";

/**
 * `map event_pipe MAP [count N] [cpu N index N]`: what programs write into a perf event array or a ring buffer. Reading an array's buffers
 * puts events of its own into it, for every CPU.
 */
export async function mapEventPipe(session: Session): Promise<void> {
  const { words } = session;
  const map = oneMap(session);
  let count: number | null = null;
  let only: number | null = null;
  while (!words.isEmpty) {
    if (words.take("count")) count = words.number("how many events");
    else if (words.take("cpu")) only = words.number("a processor");
    // The buffers of all processors are read under their own numbers.
    else if (words.take("index")) words.number("an index");
    else words.end("count N", "cpu N", "index N");
  }
  const { type } = map.info;
  if (type !== "perf_event_array" && type !== "ringbuf")
    throw usageError(`map ${map.info.name} is a ${type}: events come from a perf_event_array or a ringbuf`);
  const limit = new Limit(count);
  let written = Promise.resolve();
  const print = (text: string) => {
    written = written.then(() => write(text));
  };
  const isJson = session.isJson;
  const show = (record: Uint8Array, cpu: number | null) => {
    if ((only !== null && cpu !== only) || !limit.take()) return;
    const data = record.slice();
    if (isJson) print(`${toJson({ cpu: cpu ?? undefined, type: 9, data: hexList(data) }, 0)}\n`);
    else print(`== event${cpu === null ? "" : ` of cpu ${cpu}`}: ${data.length} bytes\n${hexDump(data)}`);
  };
  const onLost = (lost: number, cpu: number) => note(`${lost} events of cpu ${cpu} were lost`);
  const reader = session.keep(
    type === "ringbuf" ? map.readRing((record) => show(record, null)) : map.readPerf(show, { onLost }),
  );
  reader.start();
  await limit.done;
  await written;
}
