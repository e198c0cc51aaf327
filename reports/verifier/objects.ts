/** @module Real objects through both verifiers. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { basename, join } from "node:path";
import {
  NotSupportedError,
  VerifierError,
  kconfigSource,
  kernelTypes,
  openLinux,
  type LinuxMachine,
} from "@skep/linux";
import { ObjectError, readObject, resolveKconfig, type MapSpec, type ObjectSpec } from "@skep/object";
import { verify } from "@skep/verifier";
import { skepObject } from "../../packages/datapath/src/generated/skep-object.ts";
import { specOf } from "../../examples/kernel/corpus.ts";
import { seedsOf, type Seed } from "../../packages/verifier/test/corpus.ts";
import type { Corpus } from "./fuzz.ts";

const ROOT = join(import.meta.dirname, "../..");

export interface ObjectFile {
  readonly name: string;
  readonly group: string;
  readonly bytes: Uint8Array | ObjectSpec;
  /** Where the kernel's verdicts are kept; undefined: the kernel is asked each time. */
  readonly folder?: string;
  /** Of this repository. */
  readonly own: boolean;
}

export function objectFiles(folders: readonly string[]): ObjectFile[] {
  const own = [
    "packages/verifier/testdata",
    "packages/object/testdata",
    "packages/linux/testdata",
    "packages/linux/testdata/objects",
  ].flatMap((folder) => filesIn(join(ROOT, folder), folder, true));
  const datapath = { name: "datapath", group: "packages/datapath", bytes: skepObject(), own: true };
  return [
    ...own,
    ...examples(),
    datapath,
    ...folders.flatMap((folder) => filesIn(folder, basename(folder), false).map((file) => ({ ...file, folder }))),
  ];
}

/** The kernel programs of the examples, compiled. */
function examples(): ObjectFile[] {
  const folder = join(ROOT, "examples/kernel");
  const names = readdirSync(folder).flatMap((file) => (file.endsWith(".bpf.ts") ? [file.slice(0, -7)] : []));
  return names.sort().map((name) => ({ name, group: "examples/kernel", bytes: specOf(name), own: true }));
}

function specIn({ bytes }: ObjectFile): ObjectSpec {
  return bytes instanceof Uint8Array ? readObject(bytes) : bytes;
}

function filesIn(folder: string, group: string, own: boolean): ObjectFile[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".o") && !file.includes(".eb."))
    .sort()
    .map((file) => ({ name: file.replace(/(\.bpf)?\.o$/, ""), group, bytes: readFileSync(join(folder, file)), own }));
}

export interface ObjectComparison {
  readonly group: string;
  readonly object: string;
  readonly program: string;
  /** Null: accepted; `asked` false: the kernel was not asked to verify it. */
  readonly kernel: string | null;
  readonly asked: boolean;
  readonly ours: string | null;
}

type KernelVerdict = Pick<ObjectComparison, "kernel" | "asked">;

/** The kernel's verdicts on objects of a folder, kept beside them in `verdicts-RELEASE.json`: they depend on nothing of ours. */
class KeptVerdicts {
  private readonly file: string;
  private readonly verdicts: Record<string, KernelVerdict>;

  constructor(folder: string) {
    this.file = join(folder, `verdicts-${release()}.json`);
    this.verdicts = existsSync(this.file)
      ? (JSON.parse(readFileSync(this.file, "utf8")) as Record<string, KernelVerdict>)
      : {};
  }

  get(object: string, program: string, ask: () => KernelVerdict): KernelVerdict {
    return (this.verdicts[`${object}:${program}`] ??= ask());
  }

  save(): void {
    writeFileSync(this.file, JSON.stringify(this.verdicts));
  }
}

export function compareObjects(linux: LinuxMachine, files: readonly ObjectFile[]): ObjectComparison[] {
  const rows: ObjectComparison[] = [];
  const kept = new Map<string, KeptVerdicts>();
  for (const file of files) {
    let spec: ObjectSpec;
    try {
      spec = specIn(file);
    } catch (error) {
      if (error instanceof ObjectError) continue;
      throw error;
    }
    const { folder } = file;
    if (folder !== undefined && !kept.has(folder)) kept.set(folder, new KeptVerdicts(folder));
    const known = folder === undefined ? undefined : kept.get(folder);
    for (const program of Object.keys(spec.programs)) {
      const ask = () => kernelVerdict(linux, spec, program);
      rows.push({
        group: file.group,
        object: file.name,
        program,
        ...(known?.get(file.name, program, ask) ?? ask()),
        ours: ourVerdict(spec, program),
      });
    }
  }
  for (const each of kept.values()) each.save();
  return rows;
}

function kernelVerdict(
  linux: LinuxMachine,
  spec: ObjectSpec,
  program: string,
): { kernel: string | null; asked: boolean } {
  try {
    linux.bpf.load(spec, { programs: [program] }).close();
    return { kernel: null, asked: true };
  } catch (error) {
    if (error instanceof VerifierError) return { kernel: error.message.split("\n")[0] ?? "", asked: true };
    if (error instanceof NotSupportedError || error instanceof Error) {
      return { kernel: `${error.name}: ${error.message.split("\n")[0] ?? ""}`, asked: false };
    }
    throw error;
  }
}

// The kernel's verifier knows how many there are.
const cpus = openLinux().bpf.possibleCpus;

function ourVerdict(spec: ObjectSpec, program: string): string | null {
  try {
    const values = spec.maps[".kconfig"] === undefined ? null : resolveKconfig(spec, kconfigSource());
    const contents = new Map(values === null ? [] : [[".kconfig", values] as const]);
    const { refusal } = verify(spec, program, { kernelTypes: kernelTypes(), contents, cpus });
    return refusal === null ? null : `${refusal.rule}: ${refusal.reason}`;
  } catch (error) {
    if (error instanceof ObjectError) return `${error.name}: ${error.message}`;
    throw error;
  }
}

/** Programs to mutate, with their maps. */
export function seedsFrom(files: readonly ObjectFile[]): Corpus {
  const seeds: Seed[] = [];
  const maps: MapSpec[] = [];
  const objects: Corpus["objects"][number][] = [];
  for (const file of files) {
    try {
      const spec = specIn(file);
      if (file.group !== "packages/datapath")
        objects.push({ name: file.name, spec, isDirected: file.group === "packages/verifier/testdata" });
      const found = seedsOf(file.name, spec);
      seeds.push(...found.seeds);
      maps.push(...found.maps);
    } catch (error) {
      // An object that is to be linked with another has no programs of its own.
      if (!(error instanceof ObjectError)) throw error;
    }
  }
  return { seeds, maps, objects };
}
