/**
 * @module
 * Devices that go and come again under the datapath, on whichever machine.
 */
import type { Interface, NetkitOptions } from "@skep/machine";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Datapath, openDatapath } from "../src/index.ts";
import { SMALL } from "./addresses.ts";
import type { PacketMachine } from "./packet-ground.ts";

const OUTER = "outer0";
const WORKLOAD = "work0";

export function devicesSuite(prepare: () => PacketMachine, { netkit = false } = {}): void {
  let under: PacketMachine;
  let cgroup: string;
  let datapath: Datapath | null;

  const open = (): Datapath => (datapath = openDatapath(under.machine, { pins: under.pins, cgroup, ...SMALL, netkit }));
  const host = () => under.machine.net.host;
  const make = (name: string): Interface => host().createVeth(name, { namespace: host(), name: `${name}p` }).host;
  const at = ({ name, index }: Interface) => ({ interfaceName: name, interfaceIndex: index });
  /** Pinned links, and whether they are attached to anything. */
  const attached = (device: string): Record<string, boolean> => {
    const names = under.machine.bpf.pins(`${under.pins}/links`).filter((name) => name.endsWith(`-${device}`));
    return Object.fromEntries(
      names.sort().map((name) => {
        const link = under.machine.bpf.openLink(`${under.pins}/links/${name}`);
        try {
          return [name, link?.isAttached() ?? false];
        } finally {
          link?.close();
        }
      }),
    );
  };
  const OUTER_LINKS = { [`skep_from_net-${OUTER}`]: true, [`skep_to_net-${OUTER}`]: true };
  const WORKLOAD_LINKS = { [`tcx_egress-${WORKLOAD}`]: true, [`tcx_ingress-${WORKLOAD}`]: true };

  beforeEach(() => {
    under = prepare();
    cgroup = under.machine.processes.createCgroup(`skep-devices-${under.pins.slice(-6).replaceAll("/", "-")}`).path;
    open();
  }, 120_000);
  afterEach(async () => {
    datapath?.destroy();
    for (const name of [OUTER, WORKLOAD]) host().deleteInterface(name);
    await under.close();
  }, 120_000);

  test("devices that were made anew under the same name are attached again", () => {
    datapath?.setDevices([at(make(OUTER))]);
    datapath?.attachEndpoint(at(make(WORKLOAD)));
    expect({ ...attached(OUTER), ...attached(WORKLOAD) }).toEqual({ ...OUTER_LINKS, ...WORKLOAD_LINKS });
    for (const name of [OUTER, WORKLOAD]) host().deleteInterface(name);
    expect(Object.values({ ...attached(OUTER), ...attached(WORKLOAD) })).toEqual([false, false, false, false]);
    datapath?.setDevices([at(make(OUTER))]);
    datapath?.attachEndpoint(at(make(WORKLOAD)));
    expect({ ...attached(OUTER), ...attached(WORKLOAD) }).toEqual({ ...OUTER_LINKS, ...WORKLOAD_LINKS });
  });

  test("what went while no agent ran does not keep the next one from its start", async () => {
    const { bpf, processes } = under.machine;
    const sockets = (): string[] =>
      bpf.pins(`${under.pins}/links`).filter((name) => /^skep_(connect|release)/.test(name));
    expect(sockets()).toHaveLength(3);
    datapath?.setDevices([at(make(OUTER))]);
    datapath?.attachEndpoint(at(make(WORKLOAD)));
    datapath?.close();
    datapath = null;
    for (const name of [OUTER, WORKLOAD]) host().deleteInterface(name);
    await processes.deleteCgroup(cgroup);
    processes.createCgroup(cgroup.slice(processes.cgroupRoot.length + 1));
    const again = open();
    expect({ ...attached(OUTER), ...attached(WORKLOAD) }).toEqual({});
    const links = sockets().map((name) => bpf.openLink(`${under.pins}/links/${name}`));
    expect(links.map((link) => link?.isAttached())).toEqual([true, true, true]);
    for (const link of links) link?.close();
    again.attachEndpoint(at(make(WORKLOAD)));
    expect(attached(WORKLOAD)).toEqual(WORKLOAD_LINKS);
  });

  // The kernel at hand has no netkit.
  if (!netkit) return;
  test("a netkit pair's programs go with its endpoint, and come again with a pair of the same name", () => {
    const options: NetkitOptions = { mode: "l3" };
    const pair = (): Interface =>
      host().createNetkit(WORKLOAD, { namespace: host(), name: `${WORKLOAD}p` }, options).host;
    const links = { [`netkit_peer-${WORKLOAD}`]: true, [`tcx_egress-${WORKLOAD}`]: true };
    datapath?.attachEndpoint(at(pair()));
    expect(attached(WORKLOAD)).toEqual(links);
    host().deleteInterface(WORKLOAD);
    datapath?.attachEndpoint(at(pair()));
    expect(attached(WORKLOAD)).toEqual(links);
    datapath?.prune([]);
    expect(attached(WORKLOAD)).toEqual({});
  });
}
