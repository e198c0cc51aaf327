/**
 * @module
 * Programs that judge packets: names of their verdicts, and the context of one packet alone.
 */

const verdicts: Readonly<Record<string, readonly string[]>> = {
  xdp: ["ABORTED", "DROP", "PASS", "TX", "REDIRECT"],
  sched_cls: ["OK", "RECLASSIFY", "SHOT", "PIPE", "STOLEN", "QUEUED", "REPEAT", "REDIRECT", "TRAP"],
  cgroup_skb: ["DROP", "PASS"],
};
/** Verdicts that let the packet go on. */
const passing: ReadonlySet<string> = new Set(["PASS", "TX", "REDIRECT", "OK", "PIPE", "RECLASSIFY", "UNSPEC"]);

export const isPassing = (verdict: string): boolean => passing.has(verdict);

/** `type`: of the program, as in `sched_cls`. */
export function verdictName(type: string, returned: number): string {
  if (type === "sched_cls" && returned === 0xffff_ffff) return "UNSPEC";
  return verdicts[type]?.[returned] ?? String(returned);
}

/** The context of a test run: the loopback interface, for tc programs the packet's type. */
export function contextOf(type: string, packet: Uint8Array): Uint8Array {
  const context = new Uint8Array(type === "xdp" ? 24 : 192);
  const view = new DataView(context.buffer);
  if (type !== "xdp") context.set(packet.subarray(12, 14), 16);
  view.setUint32(type === "xdp" ? 12 : 40, 1, true);
  return context;
}
