// Tables of the pinned maps, as another process reads them, on the simulated machine.
import { describe, expect, it } from "vitest";
import type { RawMap } from "@skep/machine";
import { parseAddress, parsePrefix, type Prefix } from "@skep/net";
import { openSim } from "@skep/sim";
import { SERVICE_FLAG, World } from "@skep/control";
import { NatEntry, NatKey } from "../src/bpf/nat-map.bpf.ts";
import { FragmentKey, Fragments } from "../src/bpf/packet.bpf.ts";
import * as maps from "../src/bpf/maps.bpf.ts";
import { datapathTables, LayoutError, openDatapath, type TableRow } from "../src/index.ts";

const PINS = "/sys/fs/bpf/tables";
const must = <T>(value: T | null | undefined): T => {
  if (value === null || value === undefined) throw new Error("missing");
  return value;
};

const tableOf = (name: string): (typeof datapathTables)[number] =>
  must(datapathTables.find((each) => each.name === name));

function openAll() {
  const machine = openSim();
  const cgroup = machine.processes.createCgroup("tables").path;
  const datapath = openDatapath(machine, { pins: PINS, cgroup });
  const read = (name: string): TableRow[] => must(tableOf(name).read(machine, PINS));
  return { machine, datapath, read };
}

describe("tables of the pinned maps", () => {
  it("show what was written", () => {
    const { datapath, read } = openAll();
    const entry = { identity: 700, protocol: 6, port: 80, portPrefix: 15, proxyPort: 0, deny: false };
    datapath.setPolicy({
      ...{ endpoint: 3, revision: 1, ingressEnforced: true, egressEnforced: true },
      entries: [
        { ...entry, direction: "ingress", precedence: 255, cookie: 9, deny: true },
        { ...entry, direction: "egress", identity: 0, port: 0, portPrefix: 0, precedence: 1, cookie: 0, audit: true },
      ],
    });
    datapath.setEndpoint({
      ...{ id: 3, identity: 700, interfaceName: "skep3", interfaceIndex: 12 },
      ...{ address: must(parseAddress("10.0.0.3")), address6: must(parseAddress("fd00::3")) },
      ...{ mac: Uint8Array.of(2, 0, 0, 0, 0, 1), hostMac: Uint8Array.of(2, 0, 0, 0, 0, 2) },
    });
    datapath.syncIpcache([
      { prefix: must(parsePrefix("192.0.2.0/24")), identity: 2 },
      { prefix: must(parsePrefix("fd00::3/128")), identity: 700 },
    ]);
    expect(read("endpoint")).toMatchObject([
      {
        ...{ id: 3, identity: 700, ipv4: "10.0.0.3", ipv6: "fd00::3", ifindex: 12 },
        ...{ mac: "02:00:00:00:00:01", nodeMac: "02:00:00:00:00:02" },
      },
    ]);
    expect(read("ipcache")).toEqual([
      { prefix: "192.0.2.0/24", identity: 2 },
      { prefix: "fd00::3/128", identity: 700 },
    ]);
    const rows = read("policy");
    expect(rows).toHaveLength(2);
    expect(rows).toContainEqual(
      expect.objectContaining({
        ...{
          endpoint: 3,
          policy: "deny",
          direction: "ingress",
          identity: 700,
          protocol: "TCP",
          port: "80-81",
          cookie: 9,
        },
      }),
    );
    expect(rows).toContainEqual(
      expect.objectContaining({ policy: "audit", direction: "egress", identity: 0, protocol: "TCP", port: "ANY" }),
    );
    expect(read("ct")).toEqual([]);
    expect(read("metrics")).toEqual([]);
  });

  it("show connections from their openers' side", () => {
    const { machine, read } = openAll();
    const map = must(machine.bpf.openMap(`${PINS}/maps/skep_ct`));
    const key = maps.ConnectionKey.zero();
    key.first = { w0: 0, w1: 0, w2: 0xffff, w3: 0x0a000001 };
    key.second = { w0: 0, w1: 0, w2: 0xffff, w3: 0x0a000002 };
    [key.firstPort, key.secondPort, key.protocol] = [80, 40_000, 6];
    const value = maps.Connection.zero();
    value.expires = Number(machine.clock.monotonic() / 1_000_000_000n) + 60;
    // A reply was seen, and the second end had opened it.
    value.flags = 1 | 16;
    [value.packets, value.replyBytes] = [3n, 1n << 60n];
    map.set(maps.ConnectionKey.encode(key), maps.Connection.encode(value));
    expect(read("ct")).toMatchObject([
      {
        ...{ protocol: "TCP", source: "10.0.0.2", sourcePort: 40_000, destination: "10.0.0.1", destinationPort: 80 },
        ...{ state: "established", expiresIn: 60, packets: 3n, replyBytes: 1n << 60n },
      },
    ]);
  });

  it("show frontends with their backends, slot by slot", () => {
    const { machine, read } = openAll();
    const at = (name: string): ReturnType<typeof machine.bpf.openMap> & object =>
      must(machine.bpf.openMap(`${PINS}/maps/${name}`));
    const address = { w0: 0, w1: 0, w2: 0xffff, w3: 0x0a600001 };
    const key = { address, port: 80, protocol: 6, scope: 0, pad: 0 };
    const value = { ...maps.Service.zero(), id: 4, flags: SERVICE_FLAG.AFFINITY };
    at("skep_services").set(maps.ServiceKey.encode({ ...key, slot: 1 }), maps.Service.encode({ ...value, backend: 9 }));
    at("skep_services").set(maps.ServiceKey.encode({ ...key, slot: 0 }), maps.Service.encode({ ...value, count: 1 }));
    const backend = { ...maps.Backend.zero(), address: { ...address, w3: 0x0af40003 }, port: 8080, protocol: 6 };
    at("skep_backends").set(Uint8Array.of(9, 0, 0, 0), maps.Backend.encode({ ...backend, state: 1, present: 1 }));
    const rows = read("lb");
    expect(rows).toMatchObject([
      { address: "10.96.0.1", port: 80, protocol: "TCP", slot: 0, id: 4, count: 1, backendAddress: null },
      { slot: 1, backend: 9, backendAddress: "10.244.0.3", backendPort: 8080, backendState: "terminating" },
    ]);
    const cells = rows.map((row) => tableOf("lb").columns.map(([, cell]) => cell(row)));
    expect(cells).toEqual([
      ["10.96.0.1:80/TCP (0)", "1 active", "4", "ClusterIP, sessionAffinity, non-routable"],
      ["10.96.0.1:80/TCP (1)", "10.244.0.3:8080 (terminating)", "4", ""],
    ]);
    at("skep_frontends").set(Uint8Array.of(4, 0, 0, 0), maps.Frontend.encode({ address, port: 80, pad: 0 }));
    const printed = (name: string): string[][] =>
      read(name).map((row) => tableOf(name).columns.map(([, cell]) => cell(row)));
    expect(printed("lb-revnat")).toEqual([["4", "10.96.0.1:80"]]);
    expect(printed("lb-backends")).toEqual([["9", "10.244.0.3:8080/TCP", "terminating"]]);
    expect(printed("lb-frontends")).toEqual([
      ["10.96.0.1:80/TCP", "0", "", "4", "1", "ClusterIP, sessionAffinity, non-routable"],
      ["10.96.0.1:80/TCP", "1", "9", "4", "", ""],
    ]);
  });

  it("show what is quarantined behind its slot, and what a frontend is told beside", () => {
    const { datapath, read } = openAll();
    const cidr = (text: string): Prefix => must(parsePrefix(text));
    const world = new World({ podCidr: cidr("10.9.0.0/16"), serviceCidr: cidr("10.96.0.0/16"), nodeName: "here" });
    const { diagnostics } = world.applyFile(
      "web.yaml",
      `apiVersion: v1
kind: Service
metadata: { name: web, annotations: { service.cilium.io/lb-algorithm: maglev } }
spec:
  type: LoadBalancer
  clusterIP: 10.96.0.7
  loadBalancerIP: 198.51.100.7
  allocateLoadBalancerNodePorts: false
  loadBalancerSourceRanges: [203.0.113.0/24]
  ports: [{ port: 80 }]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
endpoints: [{ addresses: [10.8.0.3] }, { addresses: [10.8.0.4] }]
ports: [{ port: 8080 }]
`,
    );
    expect(diagnostics).toEqual([]);
    world.loadBalancer.setBackendState(
      { address: must(parseAddress("10.8.0.3")), port: 8080, protocol: 6 },
      "quarantined",
    );
    for (const change of world.loadBalancerChanges()) datapath.syncLoadBalancer(change);
    const rows = read("lb").filter((row) => row["address"] === "198.51.100.7" && row["port"] === 80);
    const cells = rows.map((row) => tableOf("lb").columns.map(([, cell]) => cell(row)));
    const id = String(rows[0]?.["id"]);
    expect(rows.map((row) => row["backendState"])).toEqual([null, "active", "quarantined"]);
    expect(cells).toEqual([
      ["198.51.100.7:80/TCP (0)", "1 active", id, "LoadBalancer, check source-range"],
      ["198.51.100.7:80/TCP (1)", "10.8.0.4:8080", id, ""],
      ["198.51.100.7:80/TCP (2)", "10.8.0.3:8080 (quarantined)", id, ""],
    ]);
    // The one that takes nothing new has no share of the table.
    const active = rows[1]?.["backend"];
    expect(read("maglev").filter((row) => row["id"] === Number(id))).toEqual([
      { id: Number(id), backend: active, slots: 16_381, of: 16_381 },
    ]);
    expect(
      read("ranges")
        .filter((row) => row["id"] === Number(id))
        .map((row) => row["prefix"])
        .sort(),
    ).toEqual(["203.0.113.0/24"]);
  });

  it("show rates, fragments, sockets, clients, and where nothing is masqueraded", () => {
    const { machine, datapath, read } = openAll();
    const at = (name: string): RawMap => must(machine.bpf.openMap(`${PINS}/maps/${name}`));
    const mapped = (last: number): maps.Address => ({ w0: 0, w1: 0, w2: 0xffff, w3: 0x0a000000 + last });
    const now = Number(machine.clock.monotonic() / 1_000_000_000n);
    datapath.setEndpoint({
      ...{ id: 3, identity: 700, interfaceName: "skep3", interfaceIndex: 12, bandwidth: { ingress: 125_000 } },
      ...{ address: must(parseAddress("10.0.0.3")), address6: must(parseAddress("fd00::3")) },
      ...{ mac: Uint8Array.of(2, 0, 0, 0, 0, 1), hostMac: Uint8Array.of(2, 0, 0, 0, 0, 2) },
    });
    expect(read("bandwidth")).toEqual([{ endpoint: 3, direction: "ingress", rate: 1_000_000n }]);
    const ends = { source: mapped(1), destination: mapped(2) };
    at("skep_fragments").set(
      FragmentKey.encode({ ...FragmentKey.zero(), ...ends, identification: 77, protocol: 17 }),
      Fragments.encode({ ...Fragments.zero(), sourcePort: 5, destinationPort: 53 }),
    );
    at("skep_nomasq").set(
      maps.IpcacheKey.encode({ prefixLength: 96 + 24, address: mapped(0) }),
      Uint8Array.of(1, 0, 0, 0),
    );
    at("skep_sock_rev").set(
      maps.ReverseKey.encode({ ...maps.ReverseKey.zero(), cookie: 12n, address: mapped(9), port: 8080 }),
      maps.ReverseEntry.encode({
        ...maps.ReverseEntry.zero(),
        ...{ address: mapped(7), port: 80, protocol: 17, service: 4, backend: 9 },
      }),
    );
    const third = Uint8Array.of(3, 0, 0, 0);
    at("skep_sock_owner").set(third, maps.AskedOwner.encode({ cookie: 3n }));
    at("skep_sock_tcp").set(
      third,
      maps.Asked.encode({
        key: { ...maps.ReverseKey.zero(), cookie: 3n, address: mapped(8), port: 8080 },
        entry: { ...maps.ReverseEntry.zero(), address: mapped(6), port: 443, protocol: 6, service: 5 },
      }),
    );
    at("skep_affinity").set(
      maps.AffinityKey.encode({ client: mapped(5), service: 4, isCookie: 0 }),
      maps.Affinity.encode({ backend: 9, lastUsed: now }),
    );
    const shown = ["frag", "ipmasq", "socknat", "affinity"].map((name) =>
      read(name).map((row) => tableOf(name).columns.map(([, cell]) => cell(row))),
    );
    expect(shown).toEqual([
      [["UDP", "10.0.0.1:5", "10.0.0.2:53", "77"]],
      [["10.0.0.0/24"]],
      [
        ["3", "TCP", "10.0.0.8:8080", "10.0.0.6:443", "5"],
        ["12", "UDP", "10.0.0.9:8080", "10.0.0.7:80", "4"],
      ],
      [["4", "10.0.0.5", "9", "0s"]],
    ]);
  });

  it("show mappings of source NAT, both directions", () => {
    const { machine, read } = openAll();
    const mapped = (last: number): maps.Address => ({ w0: 0, w1: 0, w2: 0xffff, w3: 0x0a000000 + last });
    const key = { ...NatKey.zero(), source: mapped(1), destination: mapped(2), sourcePort: 5, destinationPort: 53 };
    const expires = Number(machine.clock.monotonic() / 1_000_000_000n) + 9;
    must(machine.bpf.openMap(`${PINS}/maps/skep_nat`)).set(
      NatKey.encode({ ...key, protocol: 17 }),
      NatEntry.encode({ ...NatEntry.zero(), address: mapped(3), port: 40_000, expires }),
    );
    expect(read("nat")).toMatchObject([
      {
        ...{ protocol: "UDP", direction: "out", source: "10.0.0.1", destination: "10.0.0.2", destinationPort: 53 },
        ...{ translated: "10.0.0.3", translatedPort: 40_000, expiresIn: 9 },
      },
    ]);
  });

  it("print a cell for every column", () => {
    const { datapath } = openAll();
    const row: TableRow = {
      protocol: "TCP",
      source: "10.0.0.1",
      sourcePort: 4,
      destination: "fd00::1",
      destinationPort: 80,
    };
    const cells = tableOf("ct").columns.map(([title, cell]) => [title, cell({ ...row, expiresIn: 3 })]);
    expect(Object.fromEntries(cells)).toMatchObject({
      SOURCE: "10.0.0.1:4",
      DESTINATION: "[fd00::1]:80",
      EXPIRES: "3s",
    });
    datapath.close();
  });

  it("are null where nothing is pinned, and refused where another layout is", () => {
    const { machine } = openAll();
    expect(tableOf("ct").read(machine, "/sys/fs/bpf/elsewhere")).toBeNull();
    const layouts = must(machine.bpf.openMap(`${PINS}/maps/skep_layouts`));
    const name = new Uint8Array(16);
    name.set(new TextEncoder().encode("skep_ct"));
    layouts.set(name, new Uint8Array(4096));
    expect(() => tableOf("ct").read(machine, PINS)).toThrow(LayoutError);
    expect(tableOf("policy").read(machine, PINS)).toEqual([]);
  });
});
