// Time to verify a program, beside the kernel's own verification of the same program. Ours is processor time, of all threads. The kernel says by the
// clock what it took, without compiling to machine code; where loading has taken less of the processor, which is where the program was
// interrupted, that counts. Least of several runs of each, of which the first make the code warm. Objects of this repository; every program of
// which the kernel takes at least 20 microseconds. The last lines are geometric means.
//   npm run bench -- verifier [PROGRAMS]
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { NotSupportedError, SyscallError, VerifierError, kernelTypes, openLinux } from "@skep/linux";
import { readObject, type ObjectSpec } from "@skep/object";
import { verify } from "@skep/verifier";
import type { RawMap } from "@skep/machine";
import { print } from "./_lines.ts";
import { needRoot, root } from "./_setup.ts";
import { skepObject } from "../packages/datapath/src/generated/skep-object.ts";

needRoot("verifier");

/** Names of programs, apart by commas; default all. */
const ONLY = process.argv[2]?.split(",");
const RUNS = 5;
/** Short programs are run again until they have had this much, in microseconds. */
const ENOUGH = 150_000;
const MOST_RUNS = 400;
const linux = openLinux();
const types = kernelTypes();

interface Subject {
  readonly name: string;
  readonly spec: ObjectSpec;
  readonly program: string;
}

function subjects(): Subject[] {
  const files = ["packages/linux/testdata", "packages/object/testdata"].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((file) => file.endsWith(".o") && !file.includes(".eb."))
      .map((file) => ({ name: file.slice(0, -2), spec: readObject(readFileSync(join(root, folder, file))) })),
  );
  const objects = [{ name: "datapath", spec: readObject(skepObject()) }, ...files];
  const all = objects.flatMap(({ name, spec }) =>
    Object.keys(spec.programs).map((program) => ({ name, spec, program })),
  );
  return all.filter(({ program }) => ONLY?.includes(program) ?? true);
}

/** Microseconds of the kernel's verifier; null where it refuses or was not asked. */
function kernelTime({ spec, program }: Subject): number | null {
  try {
    const first = linux.bpf.load(spec, { programs: [program], logLevel: 4 });
    try {
      return leastOf(() => loadTime({ spec, program }, first.maps));
    } finally {
      first.close();
    }
  } catch (error) {
    if (error instanceof VerifierError || error instanceof NotSupportedError || error instanceof SyscallError)
      return null;
    if (error instanceof Error) return null;
    throw error;
  }
}

/** With maps that are there already. */
function loadTime({ spec, program }: Omit<Subject, "name">, maps: Readonly<Record<string, RawMap>>): number | null {
  const shared = Object.values(spec.maps).flatMap(({ name, data }) => {
    const map = maps[name];
    return map && data === undefined ? [[name, map] as const] : [];
  });
  const before = process.cpuUsage();
  const loaded = linux.bpf.load(spec, { programs: [program], logLevel: 4, maps: Object.fromEntries(shared) });
  const { user, system } = process.cpuUsage(before);
  const match = /verification time (\d+) usec/.exec(loaded.programs[program]?.log ?? "");
  // Not the whole: what is shared stays open.
  for (const each of Object.values(loaded.programs)) each.close();
  const kept = new Set(Object.values(maps));
  for (const map of Object.values(loaded.maps)) if (!kept.has(map)) map.close();
  return match?.[1] === undefined ? null : Math.min(Number(match[1]), user + system);
}

function ourTime({ spec, program }: Subject): number {
  const least = leastOf(() => {
    const before = process.cpuUsage();
    verify(spec, program, { kernelTypes: types });
    const { user, system } = process.cpuUsage(before);
    return user + system;
  });
  return least ?? Number.NaN;
}

/** Microseconds; null where one run is null. */
function leastOf(run: () => number | null): number | null {
  const times: number[] = [];
  for (let sum = 0; times.length < RUNS || (sum < ENOUGH && times.length < MOST_RUNS);) {
    const time = run();
    if (time === null) return null;
    times.push(time);
    sum += time;
  }
  return Math.min(...times);
}

const mean = (ratios: readonly number[]): number =>
  Math.exp(ratios.reduce((sum, each) => sum + Math.log(each), 0) / ratios.length);

const found: { readonly subject: Subject; readonly kernel: number }[] = [];
for (const subject of subjects()) {
  const kernel = kernelTime(subject);
  if (kernel !== null && kernel >= 20) found.push({ subject, kernel });
}
// Everything once before: what is measured is the verifier, not the first run of its code.
for (const { subject } of found) verify(subject.spec, subject.program, { kernelTypes: types });
const ratios: number[] = [];
const large: number[] = [];
for (const { subject, kernel } of found) {
  const ours = ourTime(subject);
  ratios.push(ours / kernel);
  if (kernel >= 200) large.push(ours / kernel);
  if (kernel < 100) continue;
  print({
    bench: "verifier",
    case: `${subject.name} ${subject.program}`,
    unit: "us",
    skep: ours,
    peer: kernel,
    peerName: "kernel",
  });
}
const summary = (name: string, values: readonly number[]) =>
  print({
    bench: "verifier",
    case: `${name} (${values.length} programs)`,
    unit: "times the kernel's",
    skep: mean(values),
    peer: 1,
    peerName: "kernel",
  });
summary("geometric mean", ratios);
// PREVAIL f489bb48 (April 2025, g++ 12), measured on another day and machine, beside the kernel's time there: it takes no global data and no
// objects that libbpf 1.x loads, so that it cannot stand in the same run. Its geometric mean over the objects that both took, as times the kernel's.
const prevail = [
  ["Katran healthchecking (GUE)", 48, 0.8],
  ["Katran healthchecking_ipip", 14.6, 0.1],
  ["Katran xdp_pktcntr", 1.9, 0.1],
  ["Katran xdp_root", 0.53, 0.03],
  ["2,000-instruction CO-RE tracepoint", 127, 2],
  ["collatz without globals", 33, 8],
] as const;
print({
  bench: "verifier",
  case: `geometric mean beside PREVAIL's on other objects (${prevail.length} programs)`,
  unit: "times the kernel's",
  skep: mean(ratios),
  peer: mean(prevail.map(([, theirs, kernel]) => theirs / kernel)),
  peerName: "prevail",
});
if (large.length > 0) summary("geometric mean from 200 us", large);
