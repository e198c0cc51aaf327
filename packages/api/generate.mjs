#!/usr/bin/env node
// Writes src/generated from proto/. The plugin comes from node_modules; npx fetches buf, which no build or test needs.
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const require = createRequire(import.meta.url);
const binaryOf = (name, command) => join(dirname(require.resolve(`${name}/package.json`)), "bin", command);

const out = process.argv[2] === undefined ? join(here, "src/generated") : resolve(process.argv[2]);

const template = {
  version: "v2",
  plugins: [
    {
      local: [process.execPath, binaryOf("@bufbuild/protoc-gen-es", "protoc-gen-es")],
      out,
      opt: ["target=ts", "import_extension=ts", "erasable_syntax=true"],
    },
  ],
};

rmSync(out, { recursive: true, force: true });
execFileSync("npx", ["--yes", "@bufbuild/buf@1.75.0", "generate", "proto", "--template", JSON.stringify(template)], {
  cwd: here,
  stdio: "inherit",
});
