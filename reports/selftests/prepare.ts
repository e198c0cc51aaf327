import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { kernelTypes } from "@skep/linux";
import { printC } from "@skep/object";
import { inParallel, output, run } from "./command.ts";

const here = dirname(fileURLToPath(import.meta.url));
const root = dirname(dirname(here));
const PACKAGE = "linux-source-6.12";

/** What of the kernel's source the selftests and libbpf are built of. */
const PARTS = [
  "tools/testing/selftests/bpf",
  "tools/lib",
  "tools/include",
  "tools/arch",
  "tools/scripts",
  "tools/build",
];
const MORE_PARTS = ["include/uapi", "scripts"];

export interface Prepared {
  /** The selftests' folder. */
  readonly tests: string;
  /** Programs that load an object: C with libbpf, and a bundle of ours. */
  readonly libbpf: string;
  readonly skep: string;
  readonly versions: Readonly<Record<"source" | "libbpf" | "clang" | "kernel", string>>;
}

/** Gets the source, builds libbpf and both loaders. What is in the folder already is taken as it is. */
export async function prepare(folder: string): Promise<Prepared> {
  const source = join(folder, "source");
  const version = await fetchSource(folder, source);
  const library = join(folder, "libbpf");
  if (!existsSync(join(library, "libbpf.a"))) await buildLibbpf(source, library);
  const include = join(folder, "include");
  mkdirSync(include, { recursive: true });
  writeFileSync(join(include, "vmlinux.h"), printC(kernelTypes(), { header: true }));
  const clang = (await output("clang-19", ["--version"])).split("\n", 1)[0] ?? "";
  const header = readFileSync(join(source, "tools/lib/bpf/libbpf_version.h"), "utf8");
  const part = (name: string) => new RegExp(`LIBBPF_${name}_VERSION (\\d+)`).exec(header)?.[1] ?? "?";
  return {
    tests: join(source, "tools/testing/selftests/bpf"),
    libbpf: await buildLoader(folder, source),
    skep: await bundleLoader(),
    versions: {
      source: version,
      libbpf: `${part("MAJOR")}.${part("MINOR")} of the same source`,
      clang,
      kernel: (await output("uname", ["-r"])).split("-", 1)[0]?.trim() ?? "",
    },
  };
}

/** Gives the package's version. */
async function fetchSource(folder: string, source: string): Promise<string> {
  const isPackage = (name: string) => name.startsWith(`${PACKAGE}_`) && name.endsWith(".deb");
  if (!readdirSync(folder).some(isPackage)) await output("apt-get", ["download", PACKAGE], folder);
  const file = readdirSync(folder).find(isPackage) ?? "";
  const version = (await output("dpkg-deb", ["--field", join(folder, file), "Version"])).trim();
  if (existsSync(source)) return version;
  const fresh = join(folder, "source.new");
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh);
  const patterns = [...PARTS, ...MORE_PARTS].map((part) => `*/${part}`).join(" ");
  const unpack = `dpkg-deb --fsys-tarfile ${file} | tar -xO --wildcards '*.tar.xz' | tar -xJ -C source.new --strip-components=1 --wildcards ${patterns}`;
  await output("sh", ["-c", `set -f; ${unpack}`], folder);
  renameSync(fresh, source);
  return version;
}

async function buildLibbpf(source: string, library: string): Promise<void> {
  mkdirSync(library, { recursive: true });
  const make = ["-C", join(source, "tools/lib/bpf"), `OUTPUT=${library}/`, `DESTDIR=${library}/root`, "prefix="];
  await output("make", [...make, "-j2", "install_headers", `${library}/libbpf.a`]);
}

async function buildLoader(folder: string, source: string): Promise<string> {
  const program = join(folder, "loader");
  const includes = [`-I${join(folder, "libbpf/root/include")}`, `-I${join(source, "tools/include/uapi")}`];
  const library = join(folder, "libbpf/libbpf.a");
  await output("cc", ["-O2", "-Wall", ...includes, "-o", program, join(here, "loader.c"), library, "-lelf", "-lz"]);
  return program;
}

/** Below the repository: the bundle finds the one package that it does not carry. */
async function bundleLoader(): Promise<string> {
  const outfile = join(root, ".cache/selftests-loader.mjs");
  await build({
    ...{ entryPoints: [join(here, "skep-loader.ts")], outfile, bundle: true, platform: "node", target: "node20" },
    ...{ format: "esm", conditions: ["skep-source"], external: ["koffi"], logLevel: "warning" },
    banner: { js: 'import{createRequire as __cr}from"node:module";const require=__cr(import.meta.url);' },
  });
  return outfile;
}

export interface Built {
  readonly name: string;
  /** The object; null where it cannot be compiled. */
  readonly file: string | null;
  /** The compiler's first error. */
  readonly error: string;
}

/** Compiles the selftests' programs with the flags of their Makefile. */
export async function compile(folder: string, tests: string): Promise<Built[]> {
  const objects = join(folder, "objects");
  mkdirSync(objects, { recursive: true });
  const makefile = readFileSync(join(tests, "Makefile"), "utf8");
  const flags = await commonFlags(folder, tests);
  const names = readdirSync(join(tests, "progs")).filter((name) => name.endsWith(".c"));
  return inParallel(names.sort(), 2, async (source) => {
    const name = source.slice(0, -2);
    const file = join(objects, `${name}.o`);
    if (existsSync(file)) return { name, file, error: "" };
    const own = ownFlags(makefile, name);
    const args = [...flags, ...own, "-O2", "--target=bpf", "-mcpu=v3", "-c", source, "-o", file];
    const { status, stderr } = await run("clang-19", args, { cwd: join(tests, "progs"), seconds: 120 });
    if (status === 0) return { name, file, error: "" };
    rmSync(file, { force: true });
    const error = /error: (.*)/.exec(stderr)?.[1] ?? `clang ended with ${status}`;
    return { name, file: null, error };
  });
}

/** BPF_CFLAGS and CLANG_SYS_INCLUDES of the Makefile. */
async function commonFlags(folder: string, tests: string): Promise<string[]> {
  const { stderr } = await run("clang-19", ["-v", "-E", "-x", "c", "/dev/null", "-o", "/dev/null"]);
  const listed = /<\.\.\.> search starts here:\n([^]*?)End of search list/.exec(stderr)?.[1] ?? "";
  const system = listed.split("\n").flatMap((line) => (line.startsWith(" ") ? ["-idirafter", line.trim()] : []));
  const arch = process.arch === "arm64" ? "arm64" : "x86";
  const includes = [
    ...[join(folder, "include"), join(folder, "libbpf/root/include"), tests],
    join(tests, "../../../include/uapi"),
  ];
  return [
    ...["-g", "-Wall", "-Werror", `-D__TARGET_ARCH_${arch}`, "-mlittle-endian", "-Wno-compare-distinct-pointer-types"],
    ...includes.map((include) => `-I${include}`),
    ...[...system, "-DENABLE_ATOMICS_TESTS"],
  ];
}

function ownFlags(makefile: string, name: string): string[] {
  const progs = new RegExp(`^progs/${name}\\.c-CFLAGS := (.*)$`, "m").exec(makefile)?.[1];
  const object = new RegExp(`^\\$\\(OUTPUT\\)/${name}\\.o: BPF_CFLAGS \\+= (.*)$`, "m").exec(makefile)?.[1];
  return `${progs ?? ""} ${object ?? ""}`.split(" ").filter((flag) => flag !== "");
}

/** Objects that the selftests link into one: what the Makefile says. */
export function linkedGroups(tests: string): { readonly name: string; readonly parts: readonly string[] }[] {
  const makefile = readFileSync(join(tests, "Makefile"), "utf8").replaceAll("\\\n", " ");
  return [...makefile.matchAll(/^(\w+)\.skel\.h-deps := (.*)$/gm)].flatMap(([, name = "", list = ""]) => {
    const parts = list.split(/\s+/).map((part) => part.replace(/\.bpf\.o$/, ""));
    return parts.length > 1 ? [{ name, parts }] : [];
  });
}
