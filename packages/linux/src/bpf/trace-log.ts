import { O, openBelow, readInto, watchReadable } from "../sys/index.ts";
import { openTracefs, readTracefs } from "./tracefs.ts";

export interface TraceLog {
  close(): void;
}

/** False: the machine's trace is switched off (tracefs: tracing_on), and nothing is printed into it. Throws `NotSupportedError` without tracefs. */
export function isTraceOn(): boolean {
  return readTracefs("tracing_on")?.trim() !== "0";
}

/**
 * Follows what programs print with `bpf_printk` (tracefs: trace_pipe), as text in pieces of whole lines. Each line reaches one reader only.
 * Throws `NotSupportedError` without tracefs.
 */
export function followTraceLog(onText: (text: string) => void): TraceLog {
  const root = openTracefs();
  try {
    const pipe = openBelow(root, "trace_pipe", O.RDONLY | O.NONBLOCK, { kind: "trace pipe" });
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(64 * 1024);
    let rest = "";
    const read = () => {
      for (;;) {
        const count = readInto(pipe.fd, buffer);
        if (count === null || count === 0) return;
        const text = rest + decoder.decode(buffer.subarray(0, count), { stream: true });
        const end = text.lastIndexOf("\n") + 1;
        rest = text.slice(end);
        if (end > 0) onText(text.slice(0, end));
        if (pipe.isClosed) return;
      }
    };
    const watch = watchReadable(pipe, read);
    return {
      close() {
        watch.close();
        pipe.close();
      },
    };
  } finally {
    root.close();
  }
}
