// The mappings of source NAT: what stands in their table, when one is over, and what happens when it is full.
import { hash, struct, u16, u32, u8, type Of } from "@skep/bpf";
import { PROTOCOL } from "@skep/bpf/net";
import { COLLECT_MAPPINGS, collections, isTight, mayCollect, noteEmergency, type Collection } from "./gc.bpf.ts";
import { lifetimeAny, lifetimeFin, lifetimeSyn, lifetimeTcp, PATIENCE } from "./lifetimes.bpf.ts";
import { Address } from "./maps.bpf.ts";

export const OUT = 0;
export const BACK = 1;
/** What a client has asked that another node has sent on: where answers come from. */
export const ASKED = 2;

/** A packet as it comes to the translation: of the flow (direction 0), of its answers (1), or of the answers to what was asked elsewhere (2). */
export const NatKey = struct("NatKey", {
  source: Address,
  destination: Address,
  sourcePort: u16,
  destinationPort: u16,
  protocol: u8,
  direction: u8,
  pad: u16,
});
export type NatKey = Of<typeof NatKey>;

/** What takes the place of its source (0 and 2), or of its destination (1). */
export const NatEntry = struct("NatEntry", {
  address: Address,
  port: u16,
  /** Bits, kept at the answers' entry: 1 answered, 2 FIN out, 4 FIN back, 8 RST. */
  flags: u16,
  /** Seconds of CLOCK_MONOTONIC after which another flow may take the port; kept at the answers' entry. */
  expires: u32,
});
export type NatEntry = Of<typeof NatEntry>;
export const nat = hash("skep_nat", { key: NatKey, value: NatEntry, maxEntries: 524_288 });

export const ANSWERED = 1;
export const FIN_OUT = 2;
export const FIN_BACK = 4;
export const RST = 8;

export function isClosed(flags: u16): boolean {
  return (flags & RST) !== 0 || (flags & (FIN_OUT | FIN_BACK)) === (FIN_OUT | FIN_BACK);
}

export function lifetime(protocol: u8, flags: u16): u32 {
  if (protocol !== PROTOCOL.TCP) return lifetimeAny.value;
  if (isClosed(flags)) return lifetimeFin.value;
  return (flags & ANSWERED) !== 0 ? lifetimeTcp.value : lifetimeSyn.value;
}

/** Closed, or never answered. */
function isForlorn(key: NatKey, entry: NatEntry, now: u32): boolean {
  if (key.protocol === PROTOCOL.TCP && isClosed(entry.flags)) return true;
  if ((entry.flags & ANSWERED) !== 0) return false;
  return entry.expires + PATIENCE < now + lifetime(key.protocol, entry.flags);
}

/** The flow's own entry has no clock: it is over when its answers' entry is gone, or another flow's. */
function isOrphan(key: NatKey, entry: NatEntry): boolean {
  const back = NatKey.zero();
  back.source = key.destination;
  back.destination = entry.address;
  back.sourcePort = key.destinationPort;
  back.destinationPort = entry.port;
  back.protocol = key.protocol;
  back.direction = BACK;
  const answers = nat.get(back);
  if (!answers || answers.port !== key.sourcePort) return true;
  const { address } = answers;
  return (
    address.w3 !== key.source.w3 ||
    address.w2 !== key.source.w2 ||
    address.w1 !== key.source.w1 ||
    address.w0 !== key.source.w0
  );
}

/** Takes out what is over; `level` 1: what is forlorn too. */
export function collectMappings(state: Collection, now: u32, level: u8): void {
  state.alive = 0n;
  state.removed = 0n;
  nat.forEach((key, entry) => {
    let isOver = false;
    if (key.direction === OUT) isOver = isOrphan(key, entry);
    else isOver = entry.expires <= now || (level !== 0 && isForlorn(key, entry, now));
    if (isOver) {
      nat.delete(key);
      state.removed += 1n;
    } else {
      state.alive += 1n;
    }
  });
}

/** There was no room, or no port, for a flow: what is over goes, so that there is for its next packet. Flows that are open stay. */
export function makeNatRoom(now: u32): void {
  const state = collections.get(COLLECT_MAPPINGS);
  if (!state || !mayCollect(state, now)) return;
  collectMappings(state, now, 0);
  if (isTight(state)) collectMappings(state, now, 1);
  noteEmergency(state);
}
