/**
 * @module
 * The datapath on packets made here: test runs of its programs, whose packets come from the loopback interface (index 1) of the caller's namespace.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openLinux, unmountPins } from "@skep/linux";
import type { Machine, Program, RawMap } from "@skep/machine";
import { buildPacket, type LayerSpec } from "@skep/net";
import { readObject } from "@skep/object";
import type { PolicyMapEntry } from "@skep/policy";
import { skepObject } from "../src/generated/skep-object.ts";
import {
  openDatapath,
  type Datapath,
  type DatapathEndpoint,
  type DatapathEvent,
  type DatapathOptions,
} from "../src/index.ts";
import { ip, mac } from "./packets.ts";

export { ip, mac };

const ethernet: LayerSpec = { kind: "ethernet", source: mac(1, 1), destination: mac(1, 2) };

/** A frame with these layers in it. */
export const frame = (...layers: readonly LayerSpec[]): Uint8Array => buildPacket([ethernet, ...layers]);

export const entry = (over: Partial<PolicyMapEntry>): PolicyMapEntry => ({
  ...{ direction: "ingress", identity: 0, protocol: 0, port: 0, portPrefix: 0, precedence: 1 },
  ...{ deny: false, proxyPort: 0, cookie: 7 },
  ...over,
});

export interface Sent {
  readonly verdict: number;
  readonly data: Uint8Array;
  readonly events: readonly DatapathEvent[];
}

/** A datapath of its own, with handles on its programs. */
export class TestDatapath {
  readonly datapath: Datapath;
  readonly machine: Machine;
  private readonly folder = mkdtempSync(join(tmpdir(), "skep-datapath-"));
  private readonly pins = join(this.folder, "bpf");
  private readonly cgroup = `skep-datapath-${process.pid}-${this.folder.slice(-6)}`;
  /** The datapath's own maps, by name. */
  readonly maps: Readonly<Record<string, RawMap>>;
  private readonly programs: ReturnType<Machine["bpf"]["load"]>;
  private readonly reader: ReturnType<Datapath["readEvents"]>;
  private seen: DatapathEvent[] = [];

  constructor(options: Partial<DatapathOptions> = {}) {
    this.machine = openLinux({ runFolder: this.folder });
    const cgroup = this.machine.processes.createCgroup(this.cgroup).path;
    this.datapath = openDatapath(this.machine, { pins: this.pins, cgroup, ...options });
    this.maps = this.pinnedMaps();
    // The same programs once more, on the datapath's own maps: the datapath keeps its handles to itself.
    this.programs = this.machine.bpf.load(readObject(skepObject()), {
      maps: this.maps,
      config: { host_firewall: options.hostFirewall ? 1 : 0, verdict_events: options.verdictEvents ? 1 : 0 },
    });
    this.reader = this.datapath.readEvents((event) => this.seen.push(event));
  }

  private pinnedMaps(): Record<string, RawMap> {
    const names = this.machine.bpf.pins(join(this.pins, "maps")).filter((name) => name !== "skep_layouts");
    const maps = names.map((name) => [name, this.machine.bpf.openMap(join(this.pins, "maps", name))] as const);
    return Object.fromEntries(maps.flatMap(([name, map]) => (map ? [[name, map]] : [])));
  }

  program(name: "skep_from_ep" | "skep_to_ep"): Program {
    const found = this.programs.programs[name];
    if (!found) throw new Error(`no program ${name}`);
    return found;
  }

  setPolicy(endpoint: number, entries: readonly PolicyMapEntry[]): void {
    this.datapath.setPolicy({ endpoint, revision: 1, ingressEnforced: true, egressEnforced: true, entries });
  }

  setEndpoint(endpoint: DatapathEndpoint): void {
    this.datapath.setEndpoint(endpoint);
  }

  send(data: Uint8Array, program: "skep_from_ep" | "skep_to_ep" = "skep_from_ep"): Sent {
    this.seen = [];
    const { returned, data: out } = this.program(program).test({ data });
    this.reader.drain();
    return { verdict: returned, data: out, events: this.seen };
  }

  async close(): Promise<void> {
    this.reader.close();
    this.programs.close();
    this.datapath.destroy();
    unmountPins(this.pins);
    await this.machine.processes.deleteCgroup(this.cgroup);
    rmSync(this.folder, { recursive: true, force: true });
  }
}
