/**
 * @module
 * Sockets whose backend serves nobody any more.
 */
import { BACKEND_STATE } from "@skep/control";
import type { ConnectedSocket, RawMap } from "@skep/machine";
import { Asked, ASKED_ROWS, Backend, ReverseEntry, ReverseKey } from "./bpf/maps.bpf.ts";
import { encodeAddress, encodeU32, keyText } from "./encode.ts";

/** What sockets have asked for: TCP's own rows, and the table. */
export interface AskedMaps {
  readonly tcp: RawMap;
  readonly reverse: RawMap;
}

const KEY_SIZE = ReverseKey.size;

function entryOf(
  { cookie, peer, peerPort, protocol }: ConnectedSocket,
  { tcp, reverse }: AskedMaps,
): ReverseEntry | null {
  const key = ReverseKey.encode({ cookie, address: encodeAddress(peer), port: peerPort, pad: 0, pad2: 0 });
  const row = protocol === "tcp" ? tcp.get(encodeU32(Number(cookie & BigInt(ASKED_ROWS - 1)))) : null;
  if (row && keyText(row.subarray(0, KEY_SIZE)) === keyText(key)) return Asked.decode(row).entry;
  const held = reverse.get(key);
  return held && ReverseEntry.decode(held);
}

/** Whether a service has sent the socket there, and what was there is gone, or takes part no more. */
export function isLost(socket: ConnectedSocket, asked: AskedMaps, backends: RawMap): boolean {
  const entry = entryOf(socket, asked);
  if (!entry) return false;
  const found = backends.get(encodeU32(entry.backend));
  if (!found) return true;
  const { present, generation, state } = Backend.decode(found);
  const isAlive = state === BACKEND_STATE.ACTIVE || state === BACKEND_STATE.TERMINATING;
  return present === 0 || generation !== entry.generation || !isAlive;
}
