/**
 * @module
 * The first release with each program, map and link type, for messages: "Linux 5.7 has it". Build options may leave a type out of
 * later ones.
 */
export { mapTypesSince, programTypesSince } from "@skep/isa";

export const linkTypesSince: Readonly<Record<string, string>> = {
  raw_tracepoint: "4.17",
  tracing: "5.5",
  cgroup: "5.7",
  iter: "5.8",
  netns: "5.8",
  xdp: "5.9",
  perf_event: "5.15",
  kprobe_multi: "5.18",
  struct_ops: "6.4",
  netfilter: "6.4",
  tcx: "6.6",
  uprobe_multi: "6.6",
  netkit: "6.7",
  sockmap: "6.10",
};
