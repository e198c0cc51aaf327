/**
 * @module
 * The files of a history: Parquet, named by the numbers and times of what is in them, so that nothing has to be opened to know. A file is whole or
 * not there: it is written under another name first.
 */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

export interface Segment {
  readonly path: string;
  /** Numbers of the first and last flush in it. */
  readonly first: number;
  readonly last: number;
  /** Nanoseconds since 1970; of the oldest and newest row. */
  readonly oldest: bigint;
  readonly newest: bigint;
  readonly rows: number;
  readonly bytes: number;
}

/** Another process keeps its history in the folder. */
export class HistoryTakenError extends Error {
  override readonly name = "HistoryTakenError";
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
};

/** What tells a process from another one that has its number later: after a start of the machine all numbers are given anew. Empty where nothing does. */
function startOf(pid: number): string {
  try {
    // Field 22 (proc(5)), behind a name that may hold anything: ticks since the machine's start.
    const ticks = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\)/s, "").trim().split(" ")[19] ?? "";
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}/${ticks}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return "";
  }
}

/** Takes the folder for this process; gives what ends that. A process that is gone holds nothing. Throws HistoryTakenError. */
export function takeFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, "lock");
  const write = (): void =>
    writeFileSync(file, `${process.pid} ${startOf(process.pid)}\n`, { flag: "wx", mode: 0o600 });
  try {
    write();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    const [number = "", start = ""] = readFileSync(file, "utf8").trim().split(" ");
    const pid = Number(number);
    const isSame = start === "" || start === startOf(pid);
    if (pid !== process.pid && isAlive(pid) && isSame)
      throw new HistoryTakenError(`the history in ${folder} belongs to process ${pid}: ask that one, or end it`, {
        cause: error,
      });
    rmSync(file, { force: true });
    write();
  }
  return () => rmSync(file, { force: true });
}

const NAME = /^flows-(\d+)-(\d+)-(\d+)-(\d+)-(\d+)\.parquet$/;

export function segmentName({ first, last, oldest, newest, rows }: Omit<Segment, "path" | "bytes">): string {
  const number = (value: number): string => String(value).padStart(10, "0");
  return `flows-${number(first)}-${number(last)}-${oldest}-${newest}-${rows}.parquet`;
}

function segmentOf(folder: string, name: string): Segment | null {
  const found = NAME.exec(name);
  if (!found) return null;
  const [, first, last, oldest, newest, rows] = found;
  const path = join(folder, name);
  const range = { first: Number(first), last: Number(last), rows: Number(rows) };
  return { ...range, path, oldest: BigInt(oldest!), newest: BigInt(newest!), bytes: statSync(path).size };
}

/**
 * What is there, in order. Takes away what a crash left half written, and files whose rows are in a larger one too: it ended between the one's
 * appearance and the others' removal.
 */
export function openSegments(folder: string): Segment[] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const names = readdirSync(folder);
  for (const name of names) if (name.endsWith(".parquet.part")) rmSync(join(folder, name), { force: true });
  const segments = names.map((name) => segmentOf(folder, name)).filter((each) => each !== null);
  segments.sort((a, b) => a.first - b.first || b.last - a.last);
  const kept: Segment[] = [];
  for (const segment of segments) {
    const before = kept.at(-1);
    if (before && segment.last <= before.last) rmSync(segment.path, { force: true });
    else kept.push(segment);
  }
  return kept;
}

const MAGIC = "PAR1";
/** Magic, length of the footer, magic. */
const LEAST_BYTES = 12;

/** Whether a file begins and ends as Parquet does: one that a crash of the machine cut short, or filled with zeros, does not. */
export function isWhole({ path, bytes }: Pick<Segment, "path" | "bytes">): boolean {
  if (bytes < LEAST_BYTES) return false;
  const file = openSync(path, "r");
  try {
    const [head, tail] = [Buffer.alloc(4), Buffer.alloc(8)];
    readSync(file, head, 0, 4, 0);
    readSync(file, tail, 0, 8, bytes - 8);
    const isMarked = head.toString("latin1") === MAGIC && tail.toString("latin1", 4) === MAGIC;
    return isMarked && tail.readUInt32LE(0) <= bytes - LEAST_BYTES;
  } finally {
    closeSync(file);
  }
}

/** Out of the way, and there for whoever wants to look at it. */
export function putAside({ path }: Pick<Segment, "path">): string {
  const aside = `${path}.broken`;
  renameSync(path, aside);
  return aside;
}

export interface Limits {
  readonly maxBytes: number;
  readonly maxAgeSeconds: number;
}

/** The oldest files, that are too many or too old. The newest stays where it alone is too large. */
export function expired(segments: readonly Segment[], { maxBytes, maxAgeSeconds }: Limits, now: bigint): Segment[] {
  const deadline = now - BigInt(Math.round(maxAgeSeconds * 1e9));
  let bytes = segments.reduce((sum, each) => sum + each.bytes, 0);
  const gone: Segment[] = [];
  for (const segment of segments) {
    const isTooMuch = bytes > maxBytes && gone.length < segments.length - 1;
    if (!isTooMuch && segment.newest >= deadline) break;
    gone.push(segment);
    bytes -= segment.bytes;
  }
  return gone;
}
