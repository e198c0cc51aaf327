// Builds what `skep` needs to run: the kernel programs (by Skep's own compiler) and one bundle of the command.
import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build as esbuild } from "esbuild";
import { loadBundle, useBundle } from "./compiler-bundle.mjs";
import { CACHE } from "./load-compiler.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const cache = join(root, ".cache");

/** Kernel programs that are embedded: the module, and the generated module that carries its object. */
const kernelPrograms = [
  {
    entry: "packages/datapath/src/bpf/skep.bpf.ts",
    output: "packages/datapath/src/generated/skep-object.ts",
    name: "skepObject",
  },
  {
    entry: "packages/datapath/src/bpf/splice.bpf.ts",
    output: "packages/datapath/src/generated/splice-object.ts",
    name: "spliceObject",
  },
];

const bundleOptions = {
  bundle: true,
  platform: "node",
  target: "node20",
  format: "esm",
  conditions: ["skep-source"],
  // Native code.
  external: ["koffi", "@duckdb/node-api"],
  banner: {
    js: 'import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);',
  },
  logLevel: "warning",
  absWorkingDir: root,
};

function* files(folder, keep) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!["node_modules", "generated", "testdata", "test", "dist"].includes(entry.name)) yield* files(path, keep);
    } else if (keep(entry.name)) yield path;
  }
}

const isSource = (name) => /\.tsx?$/.test(name) && !/\.test\.tsx?$/.test(name);

function sources(packages) {
  return packages
    .map((name) => join(root, "packages", name, "src"))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => [...files(folder, isSource)])
    .sort();
}

function contentHash(paths) {
  const hash = createHash("sha256");
  for (const path of paths) hash.update(relative(root, path)).update("\0").update(readFileSync(path)).update("\0");
  return hash.digest("hex").slice(0, 32);
}

/** What else the bundles are made from. */
const buildFiles = () => [
  ...["build.mjs", "compile-kernel.ts", "compiler-bundle.mjs", "load-compiler.mjs"].map((name) =>
    join(root, "scripts", name),
  ),
  join(root, "package-lock.json"),
];

const toolchain = () => sources(["isa", "object", "bpf", "ir", "compiler"]);

/** Compiles each kernel module whose inputs changed; the generated file names the hash of what it was made from. */
async function buildKernelPrograms() {
  let compile;
  for (const { entry, output, name } of kernelPrograms) {
    const folder = dirname(join(root, entry));
    const hash = contentHash([...toolchain(), ...files(folder, (file) => file.endsWith(".bpf.ts"))]);
    const target = join(root, output);
    if (existsSync(target) && readFileSync(target, "utf8").startsWith(`// ${hash}\n`)) continue;
    compile ??= (await compiler()).exports.compileKernel;
    const bytes = compile(join(root, entry));
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, generatedModule({ hash, entry, name, bytes }));
  }
}

function generatedModule({ hash, entry, name, bytes }) {
  const text = Buffer.from(bytes).toString("base64");
  // The type checker goes down a sum one call for each term: few long lines.
  const lines = text.match(/.{1,4000}/g) ?? [];
  return [
    `// ${hash}`,
    `// Made from ${entry} by scripts/build.mjs.`,
    `const text =`,
    lines.map((line) => `  "${line}"`).join(" +\n") + ";",
    ``,
    `/** The compiled object of ${entry}. */`,
    `export function ${name}(): Uint8Array {`,
    `  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";`,
    `  const bytes = new Uint8Array(${bytes.length});`,
    `  let bits = 0;`,
    `  let held = 0;`,
    `  let at = 0;`,
    `  for (const character of text) {`,
    `    if (character === "=") break;`,
    `    bits = (bits << 6) | alphabet.indexOf(character);`,
    `    held += 6;`,
    `    if (held >= 8) {`,
    `      held -= 8;`,
    `      bytes[at++] = (bits >>> held) & 0xff;`,
    `    }`,
    `  }`,
    `  return bytes;`,
    `}`,
    ``,
  ].join("\n");
}

let loaded;

/** The compiler that is shipped, loaded once. */
function compiler() {
  const hash = contentHash([...toolchain(), ...buildFiles()]);
  loaded ??= loadBundle({ root, hash, options: bundleOptions });
  return loaded;
}

/** What the compiler needs for its first program is kept as bytecode. */
async function buildCompiler() {
  const { exports, isCached, keep } = await compiler();
  if (!isCached) {
    for (const { entry } of kernelPrograms) exports.compileKernel(join(root, entry));
    keep();
  }
  return Object.keys(exports);
}

/** Objects of the kernel programs stand beside the bundle as they are: a text of theirs in it would stay in memory, twice. */
const objectsBeside = {
  name: "objects-beside",
  setup(build) {
    const outputs = new Map(kernelPrograms.map(({ output, name }) => [join(root, output), name]));
    build.onLoad({ filter: /[\\/]generated[\\/][a-z]+-object\.ts$/ }, ({ path }) => {
      const name = outputs.get(path);
      if (name === undefined) return undefined;
      return {
        contents: [
          `import { readFileSync } from "node:fs";`,
          `import place from ${JSON.stringify(`object-bytes:${path}`)};`,
          `export const ${name} = () => new Uint8Array(readFileSync(new URL(place, import.meta.url)));`,
        ].join("\n"),
        resolveDir: dirname(path),
      };
    });
    build.onResolve({ filter: /^object-bytes:/ }, ({ path }) => ({
      path: path.slice("object-bytes:".length).replace(/\.ts$/, ".o"),
      namespace: "object-bytes",
    }));
    build.onLoad({ filter: /.*/, namespace: "object-bytes" }, ({ path }) => {
      const lines = readFileSync(path.replace(/\.o$/, ".ts"), "utf8").matchAll(/^ {2}"(.*)"/gm);
      return { contents: Buffer.from([...lines].map(([, line]) => line).join(""), "base64"), loader: "file" };
    });
  },
};

async function buildCommand() {
  const stamp = join(root, "dist", ".stamp");
  const packages = readdirSync(join(root, "packages")).filter((name) => name !== "ui");
  const hash = contentHash([
    ...sources(packages),
    ...kernelPrograms.map(({ output }) => join(root, output)),
    ...files(join(root, "packages", "api", "src"), (name) => name.endsWith(".ts")),
    ...buildFiles(),
  ]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash && existsSync(join(root, "dist", CACHE))) return;
  const names = await buildCompiler();
  const workloads = join(root, "packages/cli/src/demo/workload.ts");
  await esbuild({
    ...bundleOptions,
    plugins: [useBundle(names), objectsBeside],
    splitting: true,
    outdir: "dist",
    outExtension: { ".js": ".mjs" },
    entryPoints: { skep: "packages/cli/src/main.ts", ...(existsSync(workloads) ? { "demo-workload": workloads } : {}) },
    ...{ chunkNames: "chunks/[name]-[hash]", assetNames: "chunks/[name]-[hash]" },
  });
  writeFileSync(stamp, hash);
}

/** What the page is made of: packages that run in a browser. */
const pagePackages = ["isa", "object", "net", "bpf", "ir", "compiler", "verifier", "vm", "machine", "sim"];
const pageStatics = ["index.html", "style.css", "icon.svg"];

/** Builds the page of `skep playground` where it is missing or older than its sources; gives its folder. */
export async function buildPlayground() {
  const page = join(root, "packages/cli/src/playground/page");
  const folder = join(root, "dist", "playground");
  const stamp = join(folder, ".stamp");
  const hash = contentHash([
    ...sources(pagePackages),
    ...files(page, () => true),
    join(root, "packages/cli/src/packet-program.ts"),
    join(root, "package-lock.json"),
    fileURLToPath(import.meta.url),
  ]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return folder;
  const { conditions, format, logLevel, absWorkingDir } = bundleOptions;
  await esbuild({
    ...{
      bundle: true,
      platform: "browser",
      target: "es2022",
      minify: true,
      conditions,
      format,
      logLevel,
      absWorkingDir,
    },
    entryPoints: [join(page, "main.ts"), join(page, "worker.ts")],
    outdir: folder,
  });
  for (const name of pageStatics) copyFileSync(join(page, name), join(folder, name));
  writeFileSync(stamp, hash);
  return folder;
}

/** What the page of `skep ui` is made of, besides its own package. */
const uiPackages = ["net", "policy"];

/** Vite asks the environment what it builds for; who runs it (a test, a developer) may have said something else. */
async function inProduction(work) {
  const { NODE_ENV } = process.env;
  process.env.NODE_ENV = "production";
  try {
    await work();
  } finally {
    if (NODE_ENV === undefined) delete process.env.NODE_ENV;
    else process.env.NODE_ENV = NODE_ENV;
  }
}

/** Builds the page of `skep ui` where it is missing or older than its sources; gives its folder. */
export async function buildPage() {
  const page = join(root, "packages", "ui");
  const folder = join(page, "dist");
  const stamp = join(folder, ".stamp");
  const hash = contentHash([
    ...sources(uiPackages),
    ...files(join(root, "packages", "api", "src"), isSource),
    ...files(join(root, "packages", "api", "src", "generated"), isSource),
    ...files(join(page, "src"), (name) => !/\.test\.tsx?$/.test(name)),
    join(page, "index.html"),
    join(page, "package.json"),
    join(root, "package-lock.json"),
    fileURLToPath(import.meta.url),
  ]);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return folder;
  const [{ build: vite }, { default: react }] = await Promise.all([import("vite"), import("@vitejs/plugin-react")]);
  // Beside its place until it is whole: another process may be serving what is there.
  const fresh = join(cache, `page-${process.pid}`);
  await inProduction(() =>
    vite({
      root: page,
      configFile: false,
      logLevel: "warn",
      plugins: [react()],
      resolve: { conditions: ["skep-source", "module", "browser", "production"] },
      build: {
        ...{ outDir: fresh, emptyOutDir: true, target: "es2022", modulePreload: { polyfill: false } },
        rolldownOptions: { checks: { pluginTimings: false } },
        ...{ chunkSizeWarningLimit: 1000, reportCompressedSize: false, assetsInlineLimit: 0 },
      },
    }),
  );
  writeFileSync(join(fresh, ".stamp"), hash);
  rmSync(folder, { recursive: true, force: true });
  renameSync(fresh, folder);
  return folder;
}

/** Brings generated modules and `dist/` up to date. Does nothing where nothing changed. */
export async function build() {
  mkdirSync(cache, { recursive: true });
  await buildKernelPrograms();
  await buildCommand();
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (process.argv.includes("--kernel")) {
    mkdirSync(cache, { recursive: true });
    await buildKernelPrograms();
  } else {
    await build();
    await buildPlayground();
    await buildPage();
  }
}
