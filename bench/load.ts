// Time to load an object: from the start of a fresh process to the first loaded program, and a further load in the same process,
// beside libbpf on the same file. The process of ours is one bundle, as the command is.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";
import { median, print } from "./_lines.ts";
import { buildTwin, compiled, figures, libbpfName, needRoot, output, root, Samples, withFolder } from "./_setup.ts";
import { skepObject } from "../packages/datapath/src/generated/skep-object.ts";

interface Case {
  readonly name: string;
  readonly object: Uint8Array;
  /** Entries of its largest map; 0 as they are. */
  readonly largest: number;
  readonly rounds: number;
  readonly further: number;
}

needRoot("load");

async function bundle(folder: string): Promise<string> {
  const outfile = join(folder, "load.mjs");
  await build({
    ...{ entryPoints: ["bench/_load-child.ts"], outfile, bundle: true, platform: "node", target: "node20" },
    ...{ format: "esm", conditions: ["skep-source"], external: ["koffi"], absWorkingDir: root, logLevel: "warning" },
    banner: { js: 'import{createRequire as __cr}from"node:module";const require=__cr(import.meta.url);' },
  });
  return outfile;
}

function measure(samples: Samples, command: string, args: readonly string[]): void {
  const started = performance.timeOrigin + performance.now();
  for (const [name, value] of figures(output(command, args))) {
    if (name === "loaded at") samples.add("fresh process", value - started);
    else if (name === "first" || name === "resident") samples.add(name, value);
    else samples.add("further", value);
  }
}

function run(programs: { ours: string; twin: string | null }, folder: string, each: Case): void {
  const file = join(folder, "object.o");
  writeFileSync(file, each.object);
  const [ours, peers] = [new Samples(), new Samples()];
  const args = [file, String(each.further), String(each.largest)];
  for (let at = 0; at < each.rounds; at++) {
    measure(ours, process.execPath, [programs.ours, ...args]);
    if (programs.twin) measure(peers, programs.twin, args);
  }
  const cases = [
    ["fresh process", "process start to first loaded"],
    ["first", "first load in a process"],
    ["further", "further load"],
    ["resident", "most resident memory of the process"],
  ] as const;
  for (const [key, name] of cases) {
    print({
      ...{ bench: "load", case: `${each.name}, ${name}`, unit: key === "resident" ? "MiB" : "ms" },
      ...{ skep: median(ours.of(key)) },
      ...{ peer: programs.twin ? median(peers.of(key)) : null, peerName: programs.twin ? libbpfName() : null },
    });
  }
}

// Below the repository: the bundle finds the one package that it does not carry.
await withFolder(
  async (folder) => {
    const programs = { ours: await bundle(folder), twin: buildTwin("load", folder) };
    const tutorial = compiled("examples/redirect-port-80/redirect.bpf.ts");
    const core = readFileSync(join(root, "bench/twins/core.o"));
    const datapath = skepObject();
    run(programs, folder, { name: "the tutorial's program", object: tutorial, largest: 0, rounds: 9, further: 10 });
    run(programs, folder, { name: "2,000 instructions with CO-RE", object: core, largest: 0, rounds: 15, further: 10 });
    const small = { name: "the datapath, maps of at most 1,024 entries", object: datapath, largest: 1024 };
    run(programs, folder, { ...small, rounds: 7, further: 5 });
    run(programs, folder, { name: "the datapath", object: datapath, largest: 0, rounds: 3, further: 2 });
  },
  join(root, ".cache"),
);
