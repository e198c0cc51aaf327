import type { TestInput } from "@skep/machine";
import { readBytes } from "./object-file.ts";
import { hexBytes, writeBytesTo } from "./prog-dump.ts";
import { oneProgram } from "./select.ts";
import type { Session } from "./session.ts";

interface RunWords {
  readonly input: TestInput;
  readonly dataOut: string | null;
  readonly contextOut: string | null;
}

function readWords(session: Session): RunWords {
  const { words } = session;
  let data: Uint8Array | undefined;
  let context: Uint8Array | undefined;
  let outputSize: number | undefined;
  let repeat: number | undefined;
  let dataOut: string | null = null;
  let contextOut: string | null = null;
  while (!words.isEmpty) {
    if (words.take("data_in")) data = readBytes(words.next("a file"));
    else if (words.take("data_out")) dataOut = words.next("a file");
    else if (words.take("data_size_out")) outputSize = words.number("a number of bytes");
    else if (words.take("ctx_in")) context = readBytes(words.next("a file"));
    else if (words.take("ctx_out")) contextOut = words.next("a file");
    // The context comes back in its own size.
    else if (words.take("ctx_size_out")) words.number("a number of bytes");
    else if (words.take("repeat")) repeat = words.number("how many times");
    else words.end("data_in FILE", "data_out FILE", "data_size_out N", "ctx_in FILE", "ctx_out FILE", "repeat N");
  }
  const input = {
    ...(data && { data }),
    ...(context && { context }),
    ...(outputSize === undefined ? {} : { outputSize }),
    ...(repeat === undefined ? {} : { repeat }),
  };
  return { input, dataOut, contextOut };
}

const ROW = 16;

/** Offset, sixteen bytes, and the text that they are. */
export function hexDump(bytes: Uint8Array): string {
  const rows = Array.from({ length: Math.ceil(bytes.length / ROW) }, (_, row) =>
    bytes.subarray(row * ROW, (row + 1) * ROW),
  );
  return rows
    .map((row, index) => {
      const text = [...row].map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")).join("");
      return `${(index * ROW).toString(16).padStart(7, "0")}  ${hexBytes(row).padEnd(ROW * 3 - 1)}  ${text}\n`;
    })
    .join("");
}

/** `prog run PROG [...]`. */
export async function progRun(session: Session): Promise<void> {
  const program = oneProgram(session);
  const { input, dataOut, contextOut } = readWords(session);
  const result = program.test(input);
  if (dataOut !== null && dataOut !== "-") writeBytesTo(dataOut, result.data);
  if (contextOut !== null && contextOut !== "-") writeBytesTo(contextOut, result.context);
  const isShown = (file: string | null) => file === "-";
  await session.print(
    {
      data_out: isShown(dataOut) ? [...result.data] : undefined,
      ctx_out: isShown(contextOut) ? [...result.context] : undefined,
      retval: result.returned,
      duration: result.duration,
    },
    () =>
      `${isShown(dataOut) ? hexDump(result.data) : ""}${isShown(contextOut) ? hexDump(result.context) : ""}` +
      `Return value: ${result.returned}, duration: ${result.duration}ns${(input.repeat ?? 1) > 1 ? " (average)" : ""}\n`,
  );
}
