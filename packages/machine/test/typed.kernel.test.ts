import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "@skep/compiler";
import { openLinux } from "@skep/linux";
import { type ObjectSpec, readObject, writeObject } from "@skep/object";
import { describe, expect, test } from "vitest";
import { load } from "../src/index.ts";
import * as module from "./count.bpf.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: loading programs needs root and BPF");

const path = join(dirname(fileURLToPath(import.meta.url)), "count.bpf.ts");

function compiled(): ObjectSpec {
  const { spec, diagnostics } = compile(path, { readFile: (file) => readFileSync(file, "utf8") });
  if (!spec) throw new Error(diagnostics.map(({ message }) => message).join("\n"));
  return spec;
}

/** A TCP segment over Ethernet and IPv4. */
function segment(from: number, destination: number): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint8(23, 6);
  view.setUint32(26, 0x0a000001);
  view.setUint32(30, 0x0a000002);
  view.setUint16(34, from);
  view.setUint16(36, destination);
  return bytes;
}

// The whole way: a module of TypeScript, its object, the kernel, and the module's own types around what the kernel holds.
describe.skipIf(!privileged)("a compiled module in the kernel", () => {
  test.each([
    ["as compiled", compiled],
    ["through an object file", () => readObject(writeObject(compiled()))],
  ])("%s", async (_, specOf) => {
    const app = load(openLinux(), specOf(), { module, config: { port: 8080 } });
    try {
      const { seen, perCpu } = app.maps;
      expect(perCpu.get(1)).toBeNull();
      const sampled: number[] = [];
      // What a perf event array holds is only written while somebody reads.
      const sampling = app.events.samples.inPlace((view, at) =>
        sampled.push(app.events.samples.field("sport")(view, at)),
      );
      for (const [from, to] of [
        [1000, 8080],
        [1000, 8080],
        [2000, 8080],
        [1000, 80],
      ] as const)
        expect(app.programs.count.test({ data: segment(from, to) }).returned).toBe(0);

      const first = { saddr: 0x0a000001, daddr: 0x0a000002, sport: 1000, dport: 8080 };
      const second = { ...first, sport: 2000 };
      expect(seen.get(first)).toEqual({ packets: 2n, bytes: 128n });
      expect(new Map([...seen].map(([key, value]) => [key.sport, value.packets]))).toEqual(
        new Map([
          [1000, 2n],
          [2000, 1n],
        ]),
      );
      expect(app.globals.total.value).toBe(3n);
      expect(perCpu.get(1)!.sum()).toEqual({ packets: 3n, bytes: 0n });

      const events = [];
      for await (const event of app.events.news) {
        events.push(event);
        if (events.length === 2) break;
      }
      expect(events).toEqual([first, second]);
      expect(sampling.drain()).toBe(2);
      expect(sampled.sort()).toEqual([1000, 2000]);
      sampling.close();
      const { jobs, met } = app.maps;
      expect([jobs.peek(), jobs.pop(), jobs.pop(), jobs.pop()]).toEqual([first, first, second, null]);
      expect([met.mayHold(1000), met.mayHold(1001)]).toEqual([true, false]);
      expect(seen.delete(first)).toBe(true);
      app.globals.total.value = 40n;
      app.programs.count.test({ data: segment(1000, 8080) });
      expect(app.globals.total.value).toBe(41n);
      expect(seen.get(first)).toEqual({ packets: 1n, bytes: 64n });
    } finally {
      app.close();
    }
  });
});
