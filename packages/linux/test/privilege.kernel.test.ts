import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { currentPrivilege } from "../src/bpf/capabilities.ts";
import { canUseBpf } from "../src/bpf/testing.ts";

const hasTool = spawnSync("setpriv", ["--version"]).status === 0;
if (!hasTool) console.warn("skipped: setpriv (util-linux) is not installed");

/** What every entry point answers with the capabilities alone; with none as an ordinary user. */
function outcomes(...capabilities: readonly string[]): Record<string, string> {
  const script = fileURLToPath(new URL("unprivileged.ts", import.meta.url));
  const node = [process.execPath, "--conditions=skep-source", "--import", "tsx", script];
  const set = ["-all", ...capabilities.map((name) => `+${name}`)].join(",");
  const user = capabilities.length === 0 ? ["--reuid=65534", "--regid=65534", "--clear-groups"] : [];
  const drop = [...user, `--inh-caps=${set}`, ...(capabilities.length === 0 ? [] : [`--bounding-set=${set}`])];
  const result = spawnSync("setpriv", [...drop, ...node], { encoding: "utf8" });
  expect(result.stderr).toBe("");
  return JSON.parse(result.stdout) as Record<string, string>;
}

const needs = (what: string, capabilities: string): string => `MissingCapabilityError: ${what} needs ${capabilities}`;

/** Refused without the right to administer the machine or its network, with the capabilities of BPF or not. */
const administration: Readonly<Record<string, string>> = {
  ids: needs("listing every map", "CAP_SYS_ADMIN"),
  mapById: needs("opening a map by its id", "CAP_SYS_ADMIN"),
  programById: needs("opening a program by its id", "CAP_SYS_ADMIN"),
  linkById: needs("opening a link by its id", "CAP_SYS_ADMIN"),
  statistics: needs("counting the runs of programs", "CAP_SYS_ADMIN"),
  query: needs("querying attached programs", "CAP_NET_ADMIN"),
  namespace: needs("making namespace none", "CAP_SYS_ADMIN"),
  "set up": needs("changing an interface in namespace host", "CAP_NET_ADMIN"),
  "list links": "done",
  "create link": needs("netlink(link, 16)", "CAP_NET_ADMIN"),
  "add address": needs("netlink(address, 20)", "CAP_NET_ADMIN"),
  "add route": needs("netlink(route, 24)", "CAP_NET_ADMIN"),
  "add rule": needs("netlink(rule, 32)", "CAP_NET_ADMIN"),
  "add qdisc": needs("netlink(qdisc, 36)", "CAP_NET_ADMIN"),
};

const ofNetwork: Readonly<Record<string, string>> = {
  "attach tcx": needs("attaching to an interface", "CAP_NET_ADMIN"),
  "attach netkit": needs("attaching to an interface", "CAP_NET_ADMIN"),
  "attach xdp": needs("attaching to an interface", "CAP_NET_ADMIN"),
  "attach cgroup": needs("attaching to a cgroup", "CAP_NET_ADMIN"),
  "attach netfilter": needs("attaching to netfilter", "CAP_NET_ADMIN"),
  "attach sk_lookup": needs("attaching to a network namespace", "CAP_NET_ADMIN"),
  "attach flow_dissector": needs("attaching to a network namespace", "CAP_NET_ADMIN"),
};

const ofTracing: Readonly<Record<string, string>> = {
  "attach raw_tracepoint": needs("attaching to a tracepoint", "CAP_PERFMON"),
  "attach tracing": needs("attaching a tracing program", "CAP_PERFMON"),
  "attach tracepoint": needs("attaching to a tracepoint", "CAP_PERFMON"),
  "attach kprobe": needs("attaching to a kernel function", "CAP_PERFMON"),
  "attach kprobe_multi": needs("attaching to kernel functions", "CAP_PERFMON"),
  "attach uprobe_multi": needs("attaching to user functions", "CAP_PERFMON"),
  "attach usdt": needs("attaching to a static probe", "CAP_PERFMON"),
  "attach perf_event": needs("attaching to a perf event", "CAP_PERFMON"),
  "attach iterator": needs("attaching an iterator", "CAP_PERFMON"),
  code: needs("reading a program's code", "CAP_PERFMON"),
};

const ofUsers: Readonly<Record<string, string>> = {
  "attach uprobe": needs("attaching to a user function", "CAP_SYS_ADMIN"),
};

describe.skipIf(!canUseBpf() || !hasTool)("without a capability nothing is tried: the missing one is named", () => {
  test("an ordinary user", () => {
    expect(currentPrivilege().initial).toBe(true);
    const found = outcomes();
    expect(found).toMatchObject({
      ...administration,
      map: needs("creating map plain", "CAP_BPF"),
      "load socket_filter": needs("loading small", "CAP_BPF"),
      "load xdp": needs("loading small", "CAP_BPF and CAP_NET_ADMIN"),
      "load kprobe": needs("loading small", "CAP_BPF and CAP_PERFMON"),
      "feature map": needs("probing map type hash", "CAP_BPF"),
      "feature flag": needs("probing map flag mmapable", "CAP_BPF"),
      "feature program": needs("probing xdp programs", "CAP_BPF and CAP_NET_ADMIN"),
      "feature helper": needs("probing kprobe programs", "CAP_BPF and CAP_PERFMON"),
      "feature link": needs("probing sched_cls programs", "CAP_BPF and CAP_NET_ADMIN"),
    });
    expect(found["pins"]).toMatch(/^MissingCapabilityError: mounting a BPF file system for .* needs CAP_SYS_ADMIN$/);
    // The device's file may be closed to users, which is another refusal.
    expect(found["tun"]).toMatch(/EACCES|needs CAP_NET_ADMIN/);
  });

  test("BPF alone", () => {
    expect(outcomes("bpf")).toMatchObject({
      ...administration,
      ...ofNetwork,
      ...ofTracing,
      ...ofUsers,
      map: "done",
      "load socket_filter": "done",
      "load xdp": needs("loading small", "CAP_NET_ADMIN"),
      "load kprobe": needs("loading small", "CAP_PERFMON"),
      tun: needs("making the device skepnone0", "CAP_NET_ADMIN"),
    });
  });

  test("BPF and tracing", () => {
    const found = outcomes("bpf", "perfmon");
    expect(found).toMatchObject({ ...administration, ...ofNetwork, ...ofUsers, "load kprobe": "done", code: "done" });
    for (const name of Object.keys(ofTracing)) expect(found[name]).not.toContain("MissingCapabilityError");
  });

  test("BPF and the network", () => {
    const found = outcomes("bpf", "net_admin");
    expect(found).toMatchObject({ ...ofTracing, ...ofUsers, "load xdp": "done", query: "done" });
    for (const name of Object.keys(ofNetwork)) expect(found[name]).not.toContain("MissingCapabilityError");
  });
});
