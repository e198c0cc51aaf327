// Opens and closes everything that the library opens, SECONDS long (default 600), and writes what stayed: reports/soak.md.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sample, Soak, type Sample } from "../packages/linux/test/soak.ts";

const SAMPLES = 20;
/** Rounds until caches are filled and code is compiled. */
const WARM = 30;

const seconds = Number(process.argv[2] ?? "600");
if (!(seconds > 0)) {
  console.error("usage: npm run report -- soak [SECONDS]");
  process.exit(2);
}
if (process.getuid?.() !== 0) {
  console.error("the soak needs root and BPF");
  process.exit(2);
}

const mebibytes = (bytes: number): string => (bytes / 1048576).toFixed(1);

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---:")), ...rows.map(line)].join("\n");
}

const row = (each: Sample): (string | number)[] => [
  ...[each.round, each.descriptors, each.owned, each.mappings, each.mounts],
  ...[mebibytes(each.resident), mebibytes(each.heap)],
];

/** Least squares: bytes of resident memory for each round. */
function slope(samples: readonly Sample[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0) / values.length;
  const [x, y] = [mean(samples.map(({ round }) => round)), mean(samples.map(({ resident }) => resident))];
  const over = samples.reduce((sum, { round, resident }) => sum + (round - x) * (resident - y), 0);
  return over / samples.reduce((sum, { round }) => sum + (round - x) ** 2, 0);
}

/** What must not differ between samples. */
const exact = ["descriptors", "owned", "mappings", "mounts"] as const;

function report(soak: Soak, samples: readonly Sample[]): string {
  const changed = exact.filter((name) => samples.some((each) => each[name] !== samples[0]?.[name]));
  // The first half fills heaps that stay as they are.
  const later = samples.slice(samples.length >> 1);
  const totals = Object.entries(soak.counts)
    .sort(([left], [right]) => left.localeCompare(right))
    .map(([what, count]) => [what, count]);
  return `# Soak: opening and closing everything

\`npm run report -- soak ${seconds}\`: ${soak.rounds} rounds in ${seconds} seconds. A round opens one of everything that \`@skep/linux\` opens, uses it
once and closes it (\`packages/linux/test/soak.ts\`). Samples are taken between rounds.

- Descriptors, mappings and mounts between rounds: ${changed.length === 0 ? "the same in every sample" : `CHANGED: ${changed.join(", ")}`}.
- Resident memory over the second half: ${slope(later).toFixed(0)} bytes a round.

## Opened and closed

${table(["what", "times"], totals)}

## Samples

${table(["round", "/proc/self/fd", "owned", "mappings", "mounts", "resident MiB", "heap MiB"], samples.map(row))}
`;
}

const soak = new Soak();
const samples: Sample[] = [];
try {
  while (soak.rounds < WARM) await soak.round();
  const started = performance.now();
  const elapsed = (): number => (performance.now() - started) / 1000;
  samples.push(sample(soak));
  while (elapsed() < seconds) {
    await soak.round();
    if (elapsed() >= (samples.length * seconds) / SAMPLES) samples.push(sample(soak));
  }
  if (samples.at(-1)?.round !== soak.rounds) samples.push(sample(soak));
} finally {
  soak.close();
}
const text = report(soak, samples);
writeFileSync(fileURLToPath(new URL("soak.md", import.meta.url)), text);
process.stdout.write(text);
if (text.includes("CHANGED")) process.exit(1);
