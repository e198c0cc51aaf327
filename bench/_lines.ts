/** One line of a benchmark: the peer's figure beside ours, from the same run. `ratio` is ours over the peer's. */
export interface Line {
  readonly bench: string;
  readonly case: string;
  readonly unit: string;
  readonly skep: number;
  readonly peer: number | null;
  readonly peerName: string | null;
}

const round = (value: number): number => Number(value.toPrecision(4));

/** `paired`: the ratio where it is not that of the two figures but the middle of many, with the interval that holds it with 95 %. */
export function print(
  line: Line,
  paired?: { readonly value: number; readonly low: number; readonly high: number },
): void {
  const { skep, peer } = line;
  const ratio = peer === null ? null : round(paired ? paired.value : skep / peer);
  const interval = paired ? { interval: [round(paired.low), round(paired.high)] } : {};
  process.stdout.write(
    `${JSON.stringify({ ...line, skep: round(skep), peer: peer === null ? null : round(peer), ratio, ...interval })}\n`,
  );
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** Milliseconds of each of `runs` runs, in turn with the peer's so that drift of the machine meets both. */
export function timeInTurn(
  runs: number,
  ours: () => void,
  peer: (() => void) | null,
): { ours: number[]; peer: number[] } {
  const result = { ours: [] as number[], peer: [] as number[] };
  for (let run = 0; run < runs; run++) {
    result.ours.push(milliseconds(ours));
    if (peer) result.peer.push(milliseconds(peer));
  }
  return result;
}

function milliseconds(run: () => void): number {
  const started = performance.now();
  run();
  return performance.now() - started;
}
