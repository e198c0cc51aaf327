/** The datapath's programs in the kernel and in every engine: the same verdicts, packets, events and maps. */
import { spawnSync } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CONFIG_PIN } from "../../datapath/src/layouts.ts";
import type { EngineName, RunResult, VmObject } from "../src/index.ts";
import { RingMap, Vm } from "../src/index.ts";
import { numbers } from "../src/testing-numbers.ts";
import { copyInto, labFrames, openLab, skbContext } from "./datapath-lab.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: the datapath in the kernel needs root and BPF");
const engines: readonly EngineName[] = ["interpreter", "checked", "fast"];

interface Side {
  readonly engine: EngineName;
  readonly vm: Vm;
  readonly object: VmObject;
}

/** Frames that take known ways, then damaged ones. */
function frames(count: number): Uint8Array[] {
  const known = [...labFrames().values()];
  const next = numbers(2026);
  const damaged = Array.from({ length: count }, () => {
    const frame = (known[next(known.length)] ?? new Uint8Array(60)).slice();
    for (let i = next(3); i >= 0; i--) frame[12 + next(frame.length - 12)] = next(4) === 0 ? next(256) : next(8);
    // A test run refuses frames without room for the network header that they announce.
    return next(6) === 0 ? frame.slice(0, Math.max(54, frame.length - next(20))) : frame;
  });
  return [...known, ...known, ...damaged];
}

function events(object: VmObject): number {
  let count = 0;
  for (const map of Object.values(object.maps)) if (map instanceof RingMap) count += map.drain(() => undefined);
  return count;
}

/** Keys of connections (their values hold times), whole entries of the others; what belongs to CPUs or sections is left out. */
function contents(name: string, entries: Iterable<readonly [Uint8Array, Uint8Array]>): string[] {
  return Array.from(entries, ([key, value]) => (name === "skep_ct" ? String(key) : [key, value].join(":"))).sort();
}

describe.skipIf(!privileged)("the datapath's programs", () => {
  const pin = (list: string) => spawnSync("taskset", ["-a", "-c", "-p", list, String(process.pid)]);
  beforeAll(() => void pin("0"));
  afterAll(() => void pin("0-1023"));

  test("answer in every engine as in the kernel", async () => {
    const lab = openLab();
    try {
      const cpus = lab.machine.bpf.possibleCpus;
      const sides = engines.map((engine): Side => {
        const vm = new Vm({ clock: () => process.hrtime.bigint(), random: () => 7, cpus, engine });
        return { engine, vm, object: copyInto(vm, lab, engine) };
      });
      const verdicts = new Set<number>();
      for (const program of ["skep_from_ep", "skep_to_ep"] as const) {
        for (const [i, data] of frames(400).entries()) {
          if (data.length < 54) continue;
          const sent = lab.send(data, program);
          verdicts.add(sent.verdict);
          for (const { engine, vm, object } of sides) {
            const found = object.programs[program];
            if (found === undefined) throw new Error(`no program ${program}`);
            const result: RunResult = vm.run(found, { packet: data, context: skbContext(data) });
            const about = { program, i, engine, data: String(data) };
            expect({ ...about, verdict: result.returned, out: String(result.packet), events: events(object) }).toEqual({
              ...{ ...about, verdict: sent.verdict >>> 0, out: String(sent.data), events: sent.events.length },
            });
          }
        }
      }
      expect(verdicts.size).toBeGreaterThan(2);
      for (const [name, theirs] of Object.entries(lab.maps)) {
        const { type } = theirs.info;
        // The object's variables are pinned under a name that is none of the object's.
        if (name === CONFIG_PIN) continue;
        // What stands in those of maps and programs are numbers of the machine.
        if (type === "ringbuf" || type === "prog_array" || type.endsWith("_of_maps")) continue;
        const wanted = contents(name, theirs.entries());
        for (const { engine, object } of sides) {
          const mine = object.maps[name];
          expect({ name, engine, entries: contents(name, mine?.entries() ?? []) }).toEqual({
            name,
            engine,
            entries: wanted,
          });
        }
      }
    } finally {
      await lab.close();
    }
  });
});
