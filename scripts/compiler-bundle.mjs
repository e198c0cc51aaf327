// The compiler as one script, with TypeScript in it, and the bytecode that V8 made of it when it was used for the first time.
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build as esbuild } from "esbuild";
import { BUNDLE, CACHE, loadFrom } from "./load-compiler.mjs";

const loader = fileURLToPath(new URL("load-compiler.mjs", import.meta.url));

/** Replaces a file at once: another process may be reading it. */
function replace(path, contents) {
  const fresh = `${path}.${process.pid}`;
  writeFileSync(fresh, contents);
  renameSync(fresh, path);
}

/** Builds `dist/compiler.cjs` where it is missing or was made from other sources, and loads it. */
export async function loadBundle({ root, hash, options }) {
  const dist = join(root, "dist");
  const stamp = join(dist, ".compiler-stamp");
  const outfile = join(dist, BUNDLE);
  if (!existsSync(outfile) || !existsSync(stamp) || readFileSync(stamp, "utf8") !== hash) {
    mkdirSync(dist, { recursive: true });
    const { outputFiles } = await esbuild({
      ...options,
      entryPoints: ["scripts/compile-kernel.ts"],
      format: "cjs",
      external: [],
      minifyWhitespace: true,
      banner: { js: "(function(exports,require,module,__filename,__dirname){" },
      footer: { js: "})" },
      write: false,
      outfile,
    });
    for (const name of readdirSync(dist)) if (name.endsWith(".cache")) rmSync(join(dist, name), { force: true });
    replace(outfile, outputFiles[0].contents);
    replace(stamp, hash);
  }
  const loaded = loadFrom(dist);
  const cache = join(dist, CACHE);
  return {
    exports: loaded.exports,
    isCached: existsSync(cache) && !loaded.script.cachedDataRejected,
    /** Keeps the bytecode of all that has been called so far. */
    keep: () => replace(cache, loaded.script.createCachedData()),
  };
}

/** Lets the command load the compiler from there instead of having a copy. */
export const useBundle = (names) => ({
  name: "compiler-bundle",
  setup(build) {
    build.onResolve({ filter: /^@skep\/compiler$/ }, () => ({ path: "@skep/compiler", namespace: "compiler-bundle" }));
    build.onLoad({ filter: /.*/, namespace: "compiler-bundle" }, () => ({
      contents: [
        `import { loadBeside } from ${JSON.stringify(loader)};`,
        `export const { ${names.join(", ")} } = loadBeside(import.meta.url);`,
      ].join("\n"),
      resolveDir: build.initialOptions.absWorkingDir,
    }));
  },
});
