import type { DatapathAnswer } from "./datapath.ts";
import { addressAt } from "./events.ts";

// Offsets are those of `Answer`.
const SIZE = 10;
const [ENDPOINT, CLIENT, SERVER, PIECES] = [12, 16, 32, 48];
const LARGEST = 512;

/** The message out of its pieces; null where it is longer than all of them. */
function messageAt(view: DataView, at: number): Uint8Array | null {
  const size = view.getUint16(at + SIZE, true);
  if (size >= LARGEST * 2) return null;
  const message = new Uint8Array(size);
  let from = view.byteOffset + at + PIECES;
  let to = 0;
  for (let piece = LARGEST; piece > 0; piece >>= 1) {
    if ((size & piece) !== 0) {
      message.set(new Uint8Array(view.buffer, from, piece), to);
      to += piece;
    }
    from += piece;
  }
  return message;
}

/** A record of the ring that is no event: what a name server has answered. Bytes are copied. */
export function decodeAnswerAt(view: DataView, at: number): DatapathAnswer {
  return {
    time: view.getBigUint64(at, true),
    endpoint: view.getUint32(at + ENDPOINT, true),
    client: addressAt(view, at + CLIENT),
    server: addressAt(view, at + SERVER),
    message: messageAt(view, at),
  };
}
