// Workloads whose devices are netkit pairs, on the simulated machine: a kernel may have none.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openSim } from "@skep/sim";
import { findLayer, type ParsedPacket, tcpFlags } from "@skep/net";
import { DatapathModeError, netkitMode } from "../src/wire.ts";
import { Cluster, type ClusterPod, simCluster } from "./cluster-lab.ts";
import { addressOf, endsOf, isRight, layersOf } from "./masquerade-suite.ts";
import { modeSuite } from "./node-port-suite.ts";

const POLICY = `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: friends}
spec:
  endpointSelector: {matchLabels: {app: server}}
  ingress: [{fromEndpoints: [{matchLabels: {app: friend}}]}]
`;

function suite(datapathMode: "netkit" | "netkit-l2"): void {
  let cluster: Cluster;
  const pods: Record<string, ClusterPod> = {};
  const pod = (name: string): ClusterPod => {
    const found = pods[name];
    if (!found) throw new Error(name);
    return found;
  };
  beforeAll(() => {
    cluster = new Cluster(simCluster(), 1, {
      documents: { "policy.yaml": POLICY },
      agent: () => ({ datapathMode, devices: ["out0"] }),
    });
    for (const name of ["server", "friend", "stranger"]) pods[name] = cluster.addPod(0, name);
  }, 300_000);
  afterAll(() => cluster?.close());

  const isSyn = (packet: ParsedPacket, port: number): boolean => findLayer(packet, "tcp")?.sourcePort === port;

  it("are pairs, whose programs are the sender's", () => {
    const host = cluster.hosts[0];
    if (!host) throw new Error("one host");
    const own = host.machine.net.host.interfaces().filter(({ kind }) => kind === "netkit");
    expect(own).toHaveLength(3);
    expect(own.every(({ mac }) => mac.every((byte) => byte === 0))).toBe(datapathMode === "netkit");
    const links = host.machine.bpf
      .pins("/sys/fs/bpf/skep/links")
      .filter((name) => name.includes(own[0]?.name ?? "none"));
    expect(links.sort()).toEqual([`netkit_peer-${own[0]?.name}`, `tcx_egress-${own[0]?.name}`]);
  });

  let port = 40_000;
  for (const family of [4, 6] as const) {
    const open = async (from: ClusterPod, to: ClusterPod): Promise<ParsedPacket | null> => {
      const ports = { sourcePort: ++port, destinationPort: 8080 };
      const ends = [addressOf(from, family), addressOf(to, family)] as const;
      cluster.send(from, layersOf(family, ...ends), { kind: "tcp", ...ports, flags: tcpFlags.syn, sequence: 7 });
      return cluster.arrival(to.port, (packet) => isSyn(packet, ports.sourcePort));
    };

    it(`IPv${family}: who may gets there, once and as sent; who may not is dropped`, async () => {
      const got = await open(pod("friend"), pod("server"));
      expect(got && endsOf(got)).toBe(`${addressOf(pod("friend"), family)} > ${addressOf(pod("server"), family)}`);
      expect(got && isRight(got)).toBe(true);
      const ethernet = got && findLayer(got, "ethernet");
      expect(ethernet && [...ethernet.destination]).toEqual([...pod("server").endpoint.mac]);
      const denied = (): number =>
        Number(
          cluster.hosts[0]?.agent.datapath
            .counters()
            .find(({ reason, direction }) => reason === 133 && direction === "ingress")?.packets ?? 0n,
        );
      const before = denied();
      expect(await open(pod("stranger"), pod("server"))).toBeNull();
      expect(denied()).toBe(before + 1);
    });

    it(`IPv${family}: a workload with another's address sends nothing`, async () => {
      const [stranger, friend, server] = [pod("stranger"), pod("friend"), pod("server")];
      const ports = { sourcePort: ++port, destinationPort: 8080 };
      const layers = layersOf(family, addressOf(friend, family), addressOf(server, family));
      cluster.send(stranger, layers, { kind: "tcp", ...ports, flags: tcpFlags.syn });
      expect(await cluster.arrival(server.port, (packet) => isSyn(packet, ports.sourcePort))).toBeNull();
    });
  }
}

describe("netkit", () => {
  for (const datapathMode of ["netkit", "netkit-l2"] as const) describe(datapathMode, () => suite(datapathMode));
  describe("services from outside", () =>
    modeSuite(simCluster, { lbAcceleration: "disabled", mode: "hybrid", datapathMode: "netkit" }));

  it("is what there is with auto; where there is none it is refused, or veth", () => {
    const machine = openSim();
    expect(netkitMode(machine, "auto")).toBe("l3");
    expect(netkitMode(machine, "netkit-l2")).toBe("l2");
    expect(netkitMode(machine, "veth")).toBeNull();
    expect(machine.net.host.interface("skep_probe")).toBeNull();
    const without = openSim();
    without.net.host.createNetkit = () => {
      throw Object.assign(new Error("this kernel does not support links of type netkit"), {
        name: "NotSupportedError",
      });
    };
    expect(netkitMode(without, "auto")).toBeNull();
    expect(() => netkitMode(without, "netkit")).toThrow(DatapathModeError);
    expect(() => netkitMode(without, "netkit")).toThrow(/--datapath-mode netkit: .* veth works on every kernel/);
  });
});
