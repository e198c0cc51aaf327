/**
 * @module
 * A plugin of TypeScript's language service: the compiler's own diagnostics (widths, subset, stale packet headers) in an editor, beside
 * TypeScript's. `tsconfig.json`: `"plugins": [{ "name": "@skep/compiler/plugin" }]`.
 */
import type ts from "typescript";
import type { Diagnostic } from "@skep/isa";
import { lowerAgain } from "./compile.ts";
import type { CompilerHost } from "./source.ts";

const EXTENSION = ".bpf.ts";
/** Diagnostics of TypeScript itself are the editor's already. */
const OWN = /^SKEP(\d+)$/;

/** What tsserver gives a plugin, as far as this one needs it. */
export interface PluginInfo {
  readonly languageService: ts.LanguageService;
  readonly languageServiceHost: ts.LanguageServiceHost;
}

function textOf(snapshot: ts.IScriptSnapshot | undefined): string | undefined {
  return snapshot?.getText(0, snapshot.getLength());
}

/** Files as the editor has them, saved or not. */
function editorHost(host: ts.LanguageServiceHost): CompilerHost {
  return { readFile: (path) => textOf(host.getScriptSnapshot(path)) ?? host.readFile(path) };
}

function convert(typescript: typeof ts, found: Diagnostic, file: ts.SourceFile | undefined): ts.Diagnostic {
  const [, code = "0"] = OWN.exec(found.code) ?? [];
  const hint = found.hint === undefined ? "" : `\nhint: ${found.hint}`;
  return {
    file,
    start: found.span?.offset ?? 0,
    length: Math.max(found.span?.length ?? 1, 1),
    category: found.severity === "error" ? typescript.DiagnosticCategory.Error : typescript.DiagnosticCategory.Warning,
    code: Number(code),
    source: "skep",
    messageText: `${found.code}: ${found.message}${hint}`,
  };
}

/** One compilation for each state of the files. */
class Checker {
  readonly #host: CompilerHost;
  readonly #versions: (path: string) => string;
  readonly #known = new Map<string, { readonly stamp: string; readonly found: readonly Diagnostic[] }>();

  constructor(host: ts.LanguageServiceHost) {
    this.#host = editorHost(host);
    this.#versions = (path) => host.getScriptVersion(path);
  }

  diagnose(path: string): readonly Diagnostic[] {
    const known = this.#known.get(path);
    if (known && known.stamp === this.#stamp(known.stamp.split("|").filter((_, at) => at % 2 === 0)))
      return known.found;
    const read = new Set<string>([path]);
    const readFile = (name: string): string | undefined => {
      read.add(name);
      return this.#host.readFile(name);
    };
    const { diagnostics } = lowerAgain(path, { readFile });
    const found = diagnostics.filter(({ code, span }) => OWN.test(code) && (span === undefined || span.file === path));
    this.#known.set(path, { stamp: this.#stamp([...read]), found });
    return found;
  }

  /** Paths and versions in turn. */
  #stamp(paths: readonly string[]): string {
    return paths.flatMap((path) => [path, this.#versions(path)]).join("|");
  }
}

/** The language service with the compiler's diagnostics among the semantic ones of `*.bpf.ts`. */
export function decorate(typescript: typeof ts, info: PluginInfo): ts.LanguageService {
  const { languageService } = info;
  const checker = new Checker(info.languageServiceHost);
  const getSemanticDiagnostics = (path: string): ts.Diagnostic[] => {
    const before = languageService.getSemanticDiagnostics(path);
    if (!path.endsWith(EXTENSION)) return before;
    const file = languageService.getProgram()?.getSourceFile(path);
    return [...before, ...checker.diagnose(path).map((found) => convert(typescript, found, file))];
  };
  return new Proxy(languageService, {
    get: (target, name, receiver): unknown =>
      name === "getSemanticDiagnostics" ? getSemanticDiagnostics : Reflect.get(target, name, receiver),
  });
}

/** What tsserver calls. */
export function init(modules: { readonly typescript: typeof ts }): {
  create(info: PluginInfo): ts.LanguageService;
} {
  return { create: (info) => decorate(modules.typescript, info) };
}

// tsserver wants the function itself: what `require` of this module gives.
export { init as "module.exports" };
