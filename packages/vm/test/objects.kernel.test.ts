/** The library's golden objects and compiled modules in the kernel and in every engine: verdicts, packets and maps. */
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { compile } from "@skep/compiler";
import { describe, expect, test } from "vitest";
import { openLinux } from "@skep/linux";
import { type ObjectSpec, readObject } from "@skep/object";
import { type EngineName, Vm } from "../src/index.ts";
import { skbContext } from "./datapath-lab.ts";

const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: running programs in the kernel needs root and BPF");
const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const engines: readonly EngineName[] = ["interpreter", "checked", "fast"];
const testable = new Set(["xdp", "sched_cls"]);
/** What two machines do not have alike: clocks, chance, tasks. */
const own = new Set([5, 7, 8, 14, 15, 16, 35, 80, 125, 158, 160, 208]);

function packets(): Uint8Array[] {
  const frame = (etherType: number, protocol: number, port: number): Uint8Array => {
    const bytes = Uint8Array.from({ length: 98 }, (_, i) => (i * 29 + 3) & 0xff);
    const view = new DataView(bytes.buffer);
    view.setUint16(12, etherType);
    view.setUint8(14, etherType === 0x0800 ? 0x45 : 0x60);
    view.setUint8(23, protocol);
    view.setUint16(36, port);
    return bytes;
  };
  return [frame(0x0800, 6, 80), frame(0x0800, 6, 443), frame(0x0800, 17, 53), frame(0x86dd, 6, 80)];
}

function xdpContext(): Uint8Array {
  const context = new Uint8Array(24);
  new DataView(context.buffer).setUint32(12, 1, true);
  return context;
}

function usesOwn(spec: ObjectSpec): boolean {
  const all = [...Object.values(spec.programs), ...Object.values(spec.functions)];
  return all.some(({ instructions }) =>
    instructions.some((insn) => insn.opcode === 0x85 && insn.src === 0 && own.has(insn.imm)),
  );
}

const reason = (error: unknown): string =>
  error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);

/** Why it could not be compared, or how many runs were. */
function compare(linux: ReturnType<typeof openLinux>, spec: ObjectSpec): string | number {
  const names = Object.values(spec.programs).flatMap((each) => {
    // A test run does not take those of maps.
    const isOfMap = /devmap|cpumap/.test(each.attachType ?? "");
    return testable.has(each.type) && !isOfMap ? [each.name] : [];
  });
  if (spec.byteOrder !== "little" || names.length === 0) return "no xdp or tc program of this byte order";
  let kernel;
  try {
    kernel = linux.bpf.load(spec, { programs: names });
  } catch (error) {
    return `the kernel refuses it: ${reason(error)}`;
  }
  try {
    const vms = engines.map(
      (engine) => new Vm({ clock: () => 0n, random: () => 0, cpus: linux.bpf.possibleCpus, engine }),
    );
    let objects;
    try {
      objects = vms.map((vm) => ({ vm, object: vm.load(spec, { programs: names }) }));
    } catch (error) {
      return `not here: ${reason(error)}`;
    }
    let runs = 0;
    for (const name of names) {
      for (const data of packets()) {
        const theirs = kernel.programs[name]?.test({ data });
        if (theirs === undefined) throw new Error(`no program ${name}`);
        for (const { vm, object } of objects) {
          const program = object.programs[name];
          if (program === undefined) throw new Error(`no program ${name}`);
          const context = program.type === "xdp" ? xdpContext() : skbContext(data);
          const { returned, packet } = vm.run(program, { packet: data, context });
          expect({ name, returned, packet: String(packet) }).toEqual({
            ...{ name, returned: theirs.returned >>> 0, packet: String(theirs.data) },
          });
          runs++;
        }
      }
    }
    compareMaps(
      kernel.maps,
      objects.map(({ object }) => object.maps),
    );
    return runs;
  } finally {
    kernel.close();
  }
}

function compareMaps(
  theirs: ReturnType<ReturnType<typeof openLinux>["bpf"]["load"]>["maps"],
  ours: readonly ReturnType<Vm["load"]>["maps"][],
): void {
  const plain = new Set(["array", "hash", "lru_hash", "lpm_trie"]);
  const text = (entries: Iterable<readonly [Uint8Array, Uint8Array]>): string[] =>
    Array.from(entries, ([key, value]) => [key, value].join(":")).sort();
  for (const [name, map] of Object.entries(theirs)) {
    if (!plain.has(map.info.type)) continue;
    const wanted = text(map.entries());
    for (const maps of ours)
      expect({ name, entries: text(maps[name]?.entries() ?? []) }).toEqual({ name, entries: wanted });
  }
}

/** Specs by name, or why there is none. */
function specs(): [string, ObjectSpec | string][] {
  const golden = join(root, "packages/object/testdata");
  const objects = readdirSync(golden)
    .filter((name) => name.endsWith(".o"))
    .map((name): [string, ObjectSpec | string] => {
      try {
        return [name, readObject(readFileSync(join(golden, name)))];
      } catch (error) {
        return [name, `it cannot be read: ${reason(error)}`];
      }
    });
  const file = join(root, "examples/redirect-port-80/redirect.bpf.ts");
  const { spec } = compile(file, { readFile: (path) => (existsSync(path) ? readFileSync(path, "utf8") : undefined) });
  return [...objects, ["redirect.bpf.ts", spec ?? "it does not compile"]];
}

describe.skipIf(!privileged)("objects", () => {
  test("answer in every engine as in the kernel", () => {
    const linux = openLinux();
    const compared: string[] = [];
    const left: string[] = [];
    for (const [name, spec] of specs()) {
      const result = typeof spec === "string" ? spec : usesOwn(spec) ? "it asks for the time" : compare(linux, spec);
      if (typeof result === "number") compared.push(`${name} (${result} runs)`);
      else left.push(`${name}: ${result}`);
    }
    console.info(`compared: ${compared.join(", ")}`);
    console.warn(`not compared:\n  ${left.join("\n  ")}`);
    expect(compared.length).toBeGreaterThan(5);
  });
});
