import type { HttpRequest } from "./l7-match.ts";

export interface HttpRule {
  readonly method: string;
  /** Extended regular expression. */
  readonly path: string;
}

/** Kinds of segments that are numbers of things and not names of places. */
const variable: readonly (readonly [pattern: RegExp, text: string])[] = [
  [/^\d+$/, "[0-9]+"],
  [/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i, "[0-9a-fA-F-]{36}"],
  [/^(?=.*\d)[0-9a-f]{12,}$/i, "[0-9a-fA-F]+"],
  [/^(?=.*\d)(?=.*[A-Za-z])[\w-]{20,}$/, "[A-Za-z0-9_-]+"],
];
/** So many different values at one place are values, too. */
const MANY = 8;

/**
 * Rules for recorded requests: numbers and identifiers in paths become patterns, as does a place where many different names stand; queries
 * are free where one was recorded.
 */
export function generalizePaths(requests: readonly HttpRequest[]): HttpRule[] {
  const rules = new Map<string, HttpRule>();
  for (const method of [...new Set(requests.map((request) => request.method))].sort()) {
    const paths = requests.filter((request) => request.method === method).map(({ path }) => path);
    for (const path of patternsOf(paths)) rules.set(`${method} ${path}`, { method, path });
  }
  return [...rules.values()];
}

function patternsOf(paths: readonly string[]): string[] {
  const split = paths.map((path) => {
    const [place = "", ...query] = path.split("?");
    return { segments: place.split("/").map(patternOf), hasQuery: query.length > 0 };
  });
  const merged = mergeMany(split.map(({ segments }) => segments));
  const queries = new Set(merged.filter((_, i) => split[i]?.hasQuery));
  const withQuery = new Set([...queries].map((segments) => segments.join("/")));
  return [...new Set(merged.map((segments) => segments.join("/")))]
    .map((path) => (withQuery.has(path) ? `${path}(\\?.*)?` : path))
    .sort();
}

function patternOf(segment: string): string {
  for (const [pattern, text] of variable) if (pattern.test(segment)) return text;
  return segment.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Places with the same neighbours and many values become `[^/]+`. */
function mergeMany(paths: readonly string[][]): string[][] {
  const result = paths.map((path) => [...path]);
  const longest = Math.max(0, ...paths.map((path) => path.length));
  for (let place = 1; place < longest; place++) {
    const values = new Map<string, Set<string>>();
    const around = (path: readonly string[]): string => path.map((part, i) => (i === place ? "*" : part)).join("/");
    for (const path of result) {
      const value = path[place];
      if (value !== undefined) values.set(around(path), (values.get(around(path)) ?? new Set()).add(value));
    }
    for (const path of result) if ((values.get(around(path))?.size ?? 0) > MANY) path[place] = "[^/]+";
  }
  return result;
}
