/**
 * @module
 * Sockets whose backend serves nobody any more.
 */
import { BACKEND_STATE } from "@skep/control";
import type { ConnectedSocket, RawMap } from "@skep/machine";
import { Backend, ReverseEntry, ReverseKey } from "./bpf/maps.bpf.ts";
import { encodeAddress, encodeU32 } from "./encode.ts";

/** Whether a service has sent the socket there, and what was there is gone, or takes part no more. */
export function isLost({ cookie, peer, peerPort }: ConnectedSocket, reverse: RawMap, backends: RawMap): boolean {
  const held = reverse.get(
    ReverseKey.encode({ cookie, address: encodeAddress(peer), port: peerPort, pad: 0, pad2: 0 }),
  );
  if (!held) return false;
  const entry = ReverseEntry.decode(held);
  const found = backends.get(encodeU32(entry.backend));
  if (!found) return true;
  const { present, generation, state } = Backend.decode(found);
  const isAlive = state === BACKEND_STATE.ACTIVE || state === BACKEND_STATE.TERMINATING;
  return present === 0 || generation !== entry.generation || !isAlive;
}
