// The table of connections: what stands in it, when an entry is over, and what happens when it is full.
import { tc, TC, u32, u8 } from "@skep/bpf";
import { PROTOCOL } from "@skep/bpf/net";
import {
  COLLECT_CONNECTIONS,
  COLLECT_MAPPINGS,
  collections,
  isTight,
  mayCollect,
  noteEmergency,
  type Collection,
} from "./gc.bpf.ts";
import { clock, lifetimeAny, lifetimeSyn, PATIENCE } from "./lifetimes.bpf.ts";
import { connections, type Connection, type ConnectionKey } from "./maps.bpf.ts";
import { collectMappings } from "./nat-map.bpf.ts";
import { DROP } from "./packet.bpf.ts";

export const CT_REPLY_SEEN = 1;
export const CT_FIN = 2;
export const CT_FIN_REPLY = 4;
export const CT_RST = 8;
/** Opened by the second of the key's two ends. */
export const CT_OPENED_BY_SECOND = 16;
/** From a client to a service: its packets go on in the connection to the backend. */
export const CT_SERVICE = 32;
/** Of a workload with itself, through a service. */
export const CT_LOOPBACK = 64;
/** To a service whose backends answer its clients themselves; to such a backend, from another node: what was asked stands with the mappings. */
export const CT_DIRECT = 128;

/** Closed, or never answered: what a full table does without before it refuses. Nothing that both ends have spoken in. */
function isForlorn(key: ConnectionKey, entry: Connection, now: u32): boolean {
  if ((entry.flags & CT_RST) !== 0) return true;
  if ((entry.flags & (CT_FIN | CT_FIN_REPLY)) === (CT_FIN | CT_FIN_REPLY)) return true;
  if ((entry.flags & (CT_REPLY_SEEN | CT_SERVICE)) !== 0) return false;
  const lifetime: u32 = key.protocol === PROTOCOL.TCP ? lifetimeSyn.value : lifetimeAny.value;
  return entry.expires + PATIENCE < now + lifetime;
}

/** Takes out what is over; `level` 1: what is forlorn too. Counts in the map's own memory: the verifier would follow a variable round by round. */
function collectConnections(state: Collection, now: u32, level: u8): void {
  state.alive = 0n;
  state.removed = 0n;
  connections.forEach((key, entry) => {
    if (entry.expires <= now || (level !== 0 && isForlorn(key, entry, now))) {
      connections.delete(key);
      state.removed += 1n;
    } else {
      state.alive += 1n;
    }
  });
}

/** The table is full: what is over goes, and if that is next to nothing what is forlorn. */
function makeRoom(now: u32): void {
  const state = collections.get(COLLECT_CONNECTIONS);
  if (!state || !mayCollect(state, now)) return;
  collectConnections(state, now, 0);
  if (isTight(state)) collectConnections(state, now, 1);
  noteEmergency(state);
}

/** Puts a new entry into the table. 0, or the drop code of a full one: connections that are open stay. */
export function insert(key: ConnectionKey, entry: Connection, now: u32): u32 {
  if (connections.set(key, entry) >= 0n) return 0;
  makeRoom(now);
  return connections.set(key, entry) < 0n ? DROP.CT_INSERT_FAILED : 0;
}

/** One look through both tables: run by the agent, at no hook. */
export const collectAll = tc("skep_gc", () => {
  const now = clock();
  const open = collections.get(COLLECT_CONNECTIONS);
  if (open) collectConnections(open, now, 0);
  const mapped = collections.get(COLLECT_MAPPINGS);
  if (mapped) collectMappings(mapped, now, 0);
  return TC.OK;
});
