// The editor's plugin in a tsserver of its own, as an editor runs it: requests on its input, answers on its output.
import { spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const ROOT = join(import.meta.dirname, "../../..");
const PACKAGE = "node_modules/@skep/compiler";

/** `tsc` has nothing to say of any of it: a width, what is outside of the subset, a header from before the packet moved. */
const TEXT = `import { type u8, xdp, XDP, xdpAdjustHead } from "@skep/bpf";
import { Ethernet } from "@skep/bpf/net";
export const main = xdp("main", (ctx) => {
  const ethernet = ctx.header(Ethernet, 0);
  if (!ethernet) return XDP.DROP;
  const short: u8 = ctx.length * 2;
  for (const key in { a: 1 }) return XDP.PASS;
  xdpAdjustHead(ctx, 4);
  return ethernet.type === short ? XDP.TX : XDP.PASS;
});
`;
const OPTIONS = {
  ...{ target: "ES2023", module: "preserve", moduleResolution: "bundler", noLib: true, types: [], strict: true },
  ...{ allowImportingTsExtensions: true, noEmit: true, plugins: [{ name: "@skep/compiler/plugin" }] },
  paths: {
    "@skep/bpf": [join(ROOT, "packages/bpf/kernel/index.ts")],
    "@skep/bpf/net": [join(ROOT, "packages/bpf/src/net.bpf.ts")],
  },
};

interface Found {
  readonly code: number;
  readonly source?: string;
  readonly text: string;
  readonly start: { readonly line: number };
}

/** Asks a tsserver for the diagnostics of a file. */
async function ask(folder: string, file: string): Promise<readonly Found[]> {
  const server = createRequire(import.meta.url).resolve("typescript/lib/tsserver.js");
  const child = spawn(process.execPath, [server, "--pluginProbeLocations", folder], {
    cwd: folder,
    stdio: ["pipe", "pipe", "ignore"],
  });
  try {
    const send = (seq: number, command: string): void =>
      void child.stdin.write(`${JSON.stringify({ seq, type: "request", command, arguments: { file } })}\n`);
    send(1, "open");
    send(2, "semanticDiagnosticsSync");
    for await (const line of createInterface({ input: child.stdout })) {
      if (!line.includes('"semanticDiagnosticsSync"')) continue;
      return (JSON.parse(line) as { body: readonly Found[] }).body;
    }
    throw new Error("tsserver ended without an answer");
  } finally {
    child.kill();
  }
}

describe("the editor's plugin in a process of its own", () => {
  let folder = "";
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "skep-tsserver-"));
    const compiler = join(folder, PACKAGE);
    mkdirSync(compiler, { recursive: true });
    // As the package is installed: tsserver finds the folder, and the folder the module.
    cpSync(join(ROOT, "packages/compiler/plugin"), join(compiler, "plugin"), { recursive: true });
    writeFileSync(join(compiler, "package.json"), JSON.stringify({ name: "@skep/compiler", type: "module" }));
    await build({
      entryPoints: [join(ROOT, "packages/compiler/src/plugin.ts")],
      outfile: join(compiler, "dist/plugin.js"),
      ...{ bundle: true, platform: "node", format: "esm", conditions: ["skep-source"] },
      banner: { js: 'import{createRequire as __r}from"node:module";const require=__r(import.meta.url);' },
      define: { __filename: '"typescript.js"', __dirname: '"."' },
      absWorkingDir: ROOT,
      logLevel: "silent",
    });
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: OPTIONS, include: ["*.ts"] }));
    writeFileSync(join(folder, "main.bpf.ts"), TEXT);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("shows what tsc cannot", async () => {
    const lines = TEXT.split("\n");
    const found = await ask(folder, join(folder, "main.bpf.ts"));
    expect(found.map(({ code, source, start }) => [code, source, lines[start.line - 1]?.trim()])).toEqual([
      [1101, "skep", "const short: u8 = ctx.length * 2;"],
      [1001, "skep", "for (const key in { a: 1 }) return XDP.PASS;"],
      [1409, "skep", "return ethernet.type === short ? XDP.TX : XDP.PASS;"],
    ]);
  });
});
