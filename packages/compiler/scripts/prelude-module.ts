/** Files of packages/bpf that the compiler carries, in order. */
export const PRELUDE_FILES = [
  "kernel/globals.d.ts",
  "kernel/index.ts",
  "src/api.ts",
  "src/kernel.ts",
  "src/net.bpf.ts",
  "src/std/hash.bpf.ts",
  "src/std/checksum.bpf.ts",
  "src/std/stats.bpf.ts",
  "src/std/parse.bpf.ts",
  "src/std/maps.bpf.ts",
] as const;

/** The module that holds the texts. */
export function preludeModule(files: readonly (readonly [path: string, text: string])[]): string {
  const entries = files.map(([path, text]) => `  [${JSON.stringify(path)}, ${JSON.stringify(text)}],\n`).join("");
  return `// Made by scripts/embed-prelude.ts from packages/bpf; a test compares.
/** The kernel side of \`@skep/bpf\`, path to text. */
// prettier-ignore
export const PRELUDE: ReadonlyMap<string, string> = new Map([
${entries}]);
`;
}
