/**
 * @module
 * Does what needs several descriptors with ever more of them left, from none on, and prints how it went and what stayed open.
 */
import { closeSync, openSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isErrno, liveMappings, openDescriptors } from "../src/index.ts";
import { features, LinuxBpf } from "../src/bpf/index.ts";
import { NetlinkSocket } from "../src/netlink/index.ts";
import { readObject } from "@skep/object";

const bpf = new LinuxBpf();
const spec = readObject(readFileSync(fileURLToPath(new URL("../testdata/maps.o", import.meta.url))));
const tracing = readObject(readFileSync(fileURLToPath(new URL("../testdata/tracing.o", import.meta.url))));

/** Throws at the first step that gets no descriptor; closes what it opened. */
function work(): void {
  const open: { close(): void }[] = [];
  const keep = <T extends { close(): void }>(thing: T): T => {
    open.push(thing);
    return thing;
  };
  try {
    const { maps } = keep(bpf.load(spec, { programs: ["emit", "use"] }));
    if (maps["ring"]) keep(maps["ring"].readRing(() => undefined)).start();
    if (maps["perf"]) keep(maps["perf"].readRing(() => undefined));
    if (maps["orders"]) keep(maps["orders"].writeRing());
    const { programs } = keep(bpf.load(tracing, { programs: ["raw", "sample"] }));
    if (programs["raw"]) keep(bpf.attach(programs["raw"], { hook: "raw_tracepoint", name: "sys_enter" }));
    const event = { event: "cpu_clock", sample: { frequency: 10 } } as const;
    if (programs["sample"]) keep(bpf.attach(programs["sample"], { hook: "perf_event", event }));
    keep(NetlinkSocket.open());
  } finally {
    for (const each of open.reverse()) each.close();
  }
}

/** Takes every descriptor that is left. */
function fill(): number[] {
  const taken: number[] = [];
  for (;;) {
    try {
      taken.push(openSync("/dev/null", "r"));
    } catch {
      return taken;
    }
  }
}

// What is read once (the kernel's types) must not fail later for want of a descriptor.
work();
const codes = new Set<string>();
const result = { attempts: 70, failed: 0, worked: 0 };
for (let room = 0; room < result.attempts; room++) {
  const taken = fill();
  for (const fd of taken.splice(0, room)) closeSync(fd);
  try {
    work();
    result.worked++;
  } catch (error) {
    result.failed++;
    codes.add(
      isErrno(error) || (error instanceof Error && "code" in error)
        ? String((error as { code: unknown }).code)
        : String(error),
    );
  }
  for (const fd of taken) closeSync(fd);
}
/** What a probe says without a descriptor, and with. */
function probing(probe: () => boolean): string[] {
  const said = (): string => {
    try {
      return String(probe());
    } catch (error) {
      return error instanceof Error ? error.name : String(error);
    }
  };
  const taken = fill();
  const without = said();
  for (const fd of taken) closeSync(fd);
  return [without, said()];
}

const probes = [
  probing(() => features.mapType("hash_of_maps")),
  probing(() => features.mapType("cgrp_storage")),
  probing(() => features.btf().enum64),
  probing(() => features.attachCookie()),
  probing(() => features.programType("sk_lookup")),
  probing(() => features.instructions("v3")),
];
console.log(JSON.stringify({ ...result, probes, codes: [...codes], left: [openDescriptors(), liveMappings()] }));
