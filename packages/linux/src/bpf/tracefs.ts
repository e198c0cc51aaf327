import { readFileSync } from "node:fs";
import {
  type Descriptor,
  detachedMount,
  fileSystemType,
  isErrno,
  O,
  openBelow,
  openFile,
  readAll,
  TRACEFS_MAGIC,
} from "../sys/index.ts";
import { NotSupportedError } from "./not-supported.ts";

const PLACES = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const text = new TextDecoder();

/** The root of tracefs: where it is mounted, else one that is mounted nowhere and leaves no trace. */
export function openTracefs(): Descriptor {
  const place = PLACES.find((each) => fileSystemType(each) === TRACEFS_MAGIC);
  if (place !== undefined) return openFile(place, O.RDONLY | O.DIRECTORY, { kind: "tracefs" });
  try {
    return detachedMount("tracefs");
  } catch (cause) {
    throw new NotSupportedError("tracefs", { detail: "it is not mounted and cannot be", cause });
  }
}

/** A file's text below tracefs; null where there is none. */
export function readTracefs(path: string): string | null {
  const root = openTracefs();
  try {
    const file = openBelow(root, path, O.RDONLY);
    try {
      return text.decode(readAll(file));
    } finally {
      file.close();
    }
  } catch (error) {
    if (isErrno(error, "ENOENT")) return null;
    throw error;
  } finally {
    root.close();
  }
}

/** A tracepoint's number; null where there is none of the name. */
export function tracepointId(category: string, name: string): number | null {
  const id = readTracefs(`events/${category}/${name}/id`);
  return id === null ? null : Number(id);
}

/** Kernel functions that can be probed. Where tracefs does not tell, those of /proc/kallsyms. */
export function probeableFunctions(): string[] {
  try {
    const list = readTracefs("available_filter_functions");
    if (list !== null) return list.split("\n").map((line) => line.split(" ", 1)[0] ?? "");
  } catch (error) {
    if (!isErrno(error, "EPERM", "EACCES") && !(error instanceof NotSupportedError)) throw error;
  }
  return functionsOf(readFileSync("/proc/kallsyms", "utf8"));
}

function functionsOf(symbols: string): string[] {
  return symbols.split("\n").flatMap((line) => {
    const [, kind, name] = line.split(" ", 3);
    return name !== undefined && (kind === "t" || kind === "T") ? [name.split("\t", 1)[0] ?? ""] : [];
  });
}

/** Whether a name fits a pattern with `*` and `?`. */
export function matchesGlob(pattern: string, name: string): boolean {
  const expression = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`)
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${expression}$`).test(name);
}
