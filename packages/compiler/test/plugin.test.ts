import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decorate, init } from "../src/plugin.ts";

const WRONG = `import { xdp, XDP, type u8 } from "@skep/bpf";
export const main = xdp("main", (ctx) => {
  const short: u8 = ctx.length * 2;
  return ctx.length << 40 ? XDP.DROP : XDP.PASS;
});
`;
/** What `tsc` takes without a word: a width, something outside of the subset, a header from before the packet moved. */
const THREE = `import { type u8, xdp, XDP, xdpAdjustHead } from "@skep/bpf";
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
const RIGHT = WRONG.replace("const short: u8 = ctx.length * 2;", "const short = ctx.length;").replace("<< 40", "<< 4");

const kernel = join(import.meta.dirname, "../../bpf/kernel/index.ts");
const OPTIONS = {
  target: "ES2023",
  module: "preserve",
  moduleResolution: "bundler",
  noLib: true,
  types: [],
  strict: true,
  allowImportingTsExtensions: true,
  noEmit: true,
  paths: { "@skep/bpf": [kernel], "@skep/bpf/net": [join(import.meta.dirname, "../../bpf/src/net.bpf.ts")] },
  plugins: [{ name: "@skep/compiler/plugin" }],
};

describe("the editor's plugin", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "skep-plugin-"));
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions: OPTIONS, include: ["*.ts"] }));
    writeFileSync(join(folder, "main.bpf.ts"), WRONG);
    writeFileSync(join(folder, "three.bpf.ts"), THREE);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const shown = (found: readonly ts.Diagnostic[]) =>
    found.map(({ source, start, length, messageText }) => [source, start, length, messageText]);

  it("shows what tsc cannot, as the text is typed", () => {
    const path = join(folder, "main.bpf.ts");
    let [text, version] = [WRONG, 1];
    const { options } = ts.convertCompilerOptionsFromJson(OPTIONS, folder);
    const host: ts.LanguageServiceHost = {
      getCompilationSettings: () => options,
      getScriptFileNames: () => [path],
      getScriptVersion: (name) => (name === path ? String(version) : "1"),
      getScriptSnapshot: (name) => {
        const found = name === path ? text : ts.sys.readFile(name);
        return found === undefined ? undefined : ts.ScriptSnapshot.fromString(found);
      },
      getCurrentDirectory: () => folder,
      getDefaultLibFileName: () => "",
      fileExists: ts.sys.fileExists,
      readFile: ts.sys.readFile,
    };
    const service = decorate(ts, { languageService: ts.createLanguageService(host), languageServiceHost: host });
    expect(shown(service.getSemanticDiagnostics(path))).toEqual([
      [
        "skep",
        WRONG.indexOf("ctx.length"),
        14,
        "SKEP1101: a value of type u32 does not fit u8\nhint: u8(...) truncates",
      ],
      ["skep", WRONG.indexOf("ctx.length << 40"), 16, expect.stringContaining("SKEP1106")],
    ]);
    [text, version] = [RIGHT, 2];
    expect(service.getSemanticDiagnostics(path)).toEqual([]);
    // What the language service does otherwise is as it was.
    expect(
      service
        .getQuickInfoAtPosition(path, RIGHT.indexOf("short"))
        ?.displayParts?.map((part) => part.text)
        .join(""),
    ).toContain("short");
  });

  it("is loaded by tsserver", () => {
    const messages: { event?: string; body?: { diagnostics?: { text: string; code: number; source?: string }[] } }[] =
      [];
    const host = {
      ...ts.sys,
      setTimeout: (run: () => void) => void pending.push(run),
      clearTimeout: () => undefined,
      setImmediate: (run: () => void) => void pending.push(run),
      clearImmediate: () => undefined,
      require: (_from: string, name: string) =>
        name === "@skep/compiler/plugin"
          ? { module: init, error: undefined }
          : { module: undefined, error: { message: name } },
    } as unknown as ts.server.ServerHost;
    const pending: (() => void)[] = [];
    const session = new ts.server.Session({
      host,
      cancellationToken: ts.server.nullCancellationToken,
      useSingleInferredProject: false,
      useInferredProjectPerProjectRoot: false,
      typingsInstaller: ts.server.nullTypingsInstaller,
      byteLength: (text) => Buffer.byteLength(text),
      hrtime: process.hrtime,
      logger: {
        close: () => undefined,
        hasLevel: () => false,
        loggingEnabled: () => false,
        perftrc: () => undefined,
        info: () => undefined,
        startGroup: () => undefined,
        endGroup: () => undefined,
        msg: () => undefined,
        getLogFileName: () => undefined,
      },
      canUseEvents: true,
      globalPlugins: [],
      pluginProbeLocations: [],
      allowLocalPluginLoads: false,
    });
    session.send = (sent) => void messages.push(sent as (typeof messages)[number]);
    const file = join(folder, "main.bpf.ts");
    session.executeCommand({
      seq: 1,
      type: "request",
      command: "open" as never,
      arguments: { file },
    } as ts.server.protocol.OpenRequest);
    const { response } = session.executeCommand({
      seq: 2,
      type: "request",
      command: "semanticDiagnosticsSync" as never,
      arguments: { file },
    } as ts.server.protocol.SemanticDiagnosticsSyncRequest);
    const found = response as { text: string; code: number; source?: string }[];
    expect(found.map(({ code, source }) => [code, source])).toEqual([
      [1101, "skep"],
      [1106, "skep"],
    ]);
    const three = join(folder, "three.bpf.ts");
    session.executeCommand({
      seq: 3,
      type: "request",
      command: "open" as never,
      arguments: { file: three },
    } as ts.server.protocol.OpenRequest);
    const answer = session.executeCommand({
      seq: 4,
      type: "request",
      command: "semanticDiagnosticsSync" as never,
      arguments: { file: three },
    } as ts.server.protocol.SemanticDiagnosticsSyncRequest).response as (ts.server.protocol.Diagnostic & {
      readonly source?: string;
    })[];
    const lines = THREE.split("\n");
    expect(answer.map(({ code, source, start }) => [code, source, lines[start.line - 1]?.trim()])).toEqual([
      [1101, "skep", "const short: u8 = ctx.length * 2;"],
      [1001, "skep", "for (const key in { a: 1 }) return XDP.PASS;"],
      [1409, "skep", "return ethernet.type === short ? XDP.TX : XDP.PASS;"],
    ]);
    expect(answer[2]?.text).toContain("hint: read the header again after xdpAdjustHead");
  });
});
