/**
 * @module
 * Runs with fewer capabilities: tries what needs them and prints the outcomes.
 */
import { exit, mov64, r0 } from "@skep/isa";
import { ids, LinuxBpf } from "../src/bpf/index.ts";
import { mapSpec, objectSpec } from "../src/bpf/testing.ts";

const bpf = new LinuxBpf();
const program = (type: string) => objectSpec([{ name: "small", type, code: [mov64(r0, 1), exit()] }]);

function outcome(run: () => string): string {
  try {
    return run();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function loads(type: string): string {
  bpf.load(program(type)).close();
  return "loaded";
}

const results = {
  map: outcome(() => {
    const map = bpf.createMap(mapSpec("plain", "hash"));
    map.close();
    return map.info.type;
  }),
  xdp: outcome(() => loads("xdp")),
  kprobe: outcome(() => loads("kprobe")),
  list: outcome(() => [...ids("map")].join(",")),
  attach: outcome(() => {
    const { programs } = bpf.load(program("socket_filter"));
    bpf.attach(programs["small"]!, { hook: "cgroup", path: "/", attachType: "cgroup_inet_egress" });
    return "attached";
  }),
};
console.log(JSON.stringify(results));
