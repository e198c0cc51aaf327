/**
 * @module
 * Policies, workloads and tests read from files and folders.
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type Diagnostic,
  documentKey,
  type ForeignDocument,
  hasErrors,
  parseDocuments,
  type PolicyDocument,
  SUITE_KIND,
} from "@skep/policy";
import { CliError, systemCode, usageError } from "../errors.ts";
import { formatProblems } from "../output/problems.ts";

export interface SourceFile {
  readonly file: string;
  readonly text: string;
}

function failed(path: string, error: unknown): Error {
  const code = systemCode(error);
  if (code === null) return error instanceof Error ? error : new Error(String(error));
  return usageError(`${path} cannot be read: ${code}`, { cause: error });
}

function filesOf(path: string): string[] {
  try {
    if (!statSync(path).isDirectory()) return [path];
    return readdirSync(path, { withFileTypes: true })
      .filter((entry) => !entry.name.startsWith("."))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .flatMap((entry) => {
        const below = join(path, entry.name);
        if (entry.isDirectory()) return filesOf(below);
        return /\.(ya?ml|json)$/i.test(entry.name) ? [below] : [];
      });
  } catch (error) {
    throw failed(path, error);
  }
}

export function readText(path: string): string {
  try {
    return readFileSync(path === "-" ? 0 : path, "utf8");
  } catch (error) {
    throw failed(path === "-" ? "stdin" : path, error);
  }
}

/** YAML and JSON of files and, recursively, of folders; in the order of their names. */
export function readFiles(paths: readonly string[]): SourceFile[] {
  return [...new Set(paths.flatMap(filesOf))].map((file) => ({ file, text: readText(file) }));
}

export interface Objects {
  readonly documents: PolicyDocument[];
  readonly foreign: ForeignDocument[];
  readonly diagnostics: Diagnostic[];
}

/** Everything of the files; expectation files are left alone. One object given twice is an error. */
export function parseFiles(files: readonly SourceFile[]): Objects {
  const objects: Objects = { documents: [], foreign: [], diagnostics: [] };
  const seen = new Map<string, string>();
  for (const { file, text } of files) {
    const parsed = parseDocuments(file, text);
    objects.foreign.push(...parsed.foreign.filter(({ kind }) => kind !== SUITE_KIND));
    objects.diagnostics.push(...parsed.diagnostics);
    for (const document of parsed.documents) {
      const key = documentKey(document);
      const other = seen.get(key);
      if (other === undefined) {
        seen.set(key, file);
        objects.documents.push(document);
        continue;
      }
      objects.diagnostics.push({
        code: "SKEP6034",
        severity: "error",
        message: `${key} stands in ${other} too`,
        span: document.span,
        hint: "give it another name, or remove one of them",
      });
    }
  }
  return objects;
}

/** The same, but errors end the command with all of them shown. */
export function loadObjects(paths: readonly string[]): Objects {
  const files = readFiles(paths);
  if (files.length === 0) throw usageError(`there is no YAML or JSON in ${paths.join(", ")}`);
  const objects = parseFiles(files);
  if (hasErrors(objects.diagnostics)) {
    throw new CliError(`the policies have errors\n${formatProblems(objects.diagnostics, files, false).trimEnd()}`);
  }
  return objects;
}
