/**
 * @module
 * The programs that a socket has from sockmaps: it takes those of the map when it enters, and keeps them until it leaves.
 */
import type { VmMap } from "@skep/vm";
import { HookSlot } from "../bpf/hooks.ts";
import type { ProgramObject } from "../bpf/objects.ts";

const SLOTS = ["sk_msg_verdict", "sk_skb_stream_parser", "sk_skb_stream_verdict", "sk_skb_verdict"] as const;
type SlotName = (typeof SLOTS)[number];

/** Programs of one map. */
export type SockMapHooks = Readonly<Record<SlotName, HookSlot>>;

export const sockMapHooks = (): SockMapHooks => ({
  sk_msg_verdict: new HookSlot(),
  sk_skb_stream_parser: new HookSlot(),
  sk_skb_stream_verdict: new HookSlot(),
  sk_skb_verdict: new HookSlot(),
});

/** The programs of a socket, by the map that it has them from (`struct sk_psock`). */
export class SockPrograms {
  readonly #maps = new Map<VmMap, Partial<Record<SlotName, ProgramObject>>>();

  join(map: VmMap, hooks: SockMapHooks): void {
    if (this.#maps.has(map)) return;
    const taken: Partial<Record<SlotName, ProgramObject>> = {};
    for (const name of SLOTS) {
      const program = hooks[name].link?.program;
      program?.retain();
      if (program) taken[name] = program;
    }
    this.#maps.set(map, taken);
  }

  leave(map: VmMap): void {
    for (const program of Object.values(this.#maps.get(map) ?? {})) program.release();
    this.#maps.delete(map);
  }

  leaveAll(): void {
    for (const map of [...this.#maps.keys()]) this.leave(map);
  }

  get(name: SlotName): ProgramObject | null {
    for (const taken of this.#maps.values()) if (taken[name]) return taken[name];
    return null;
  }
}
