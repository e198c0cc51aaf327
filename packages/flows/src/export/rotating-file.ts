/**
 * @module
 * A file of lines that is put aside when it is full: `flows.log` becomes `flows-2026-11-21T16-54-03.125.log`, and the oldest of those go.
 * Names and order are those of Cilium's exporter (lumberjack).
 */
import {
  closeSync,
  existsSync,
  fstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { promisify } from "node:util";
import { gzip } from "node:zlib";

export interface RotationOptions {
  readonly path: string;
  /** Of one file. Default 10 MiB. */
  readonly maxBytes?: number;
  /** Files that are kept beside; 0: all. Default 5. */
  readonly maxBackups?: number;
  /** Those that are put aside are compressed. Default false. */
  readonly compress?: boolean;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Failures that concern no line: a file that is put aside could not be compressed or removed. */
  readonly onError?: (error: unknown) => void;
}

const TIME = /^-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}$/;
const compressed = promisify(gzip);

export class RotatingFile {
  readonly #options: RotationOptions;
  readonly #maxBytes: number;
  readonly #maxBackups: number;
  readonly #name: string;
  readonly #extension: string;
  #descriptor: number | null = null;
  #bytes = 0;
  #tidying: Promise<void> = Promise.resolve();

  constructor(options: RotationOptions) {
    this.#options = options;
    this.#maxBytes = options.maxBytes ?? 10 << 20;
    this.#maxBackups = options.maxBackups ?? 5;
    this.#extension = extname(options.path);
    this.#name = basename(options.path, this.#extension);
  }

  /** Whole lines. A file is never larger than its bound, but for lines that alone are. Throws what the file system throws. */
  write(text: string): void {
    const bytes = Buffer.from(text);
    const descriptor = this.#open();
    if (this.#bytes > 0 && this.#bytes + bytes.length > this.#maxBytes) {
      this.#rotate(descriptor);
      return this.write(text);
    }
    let written = 0;
    while (written < bytes.length) written += writeSync(descriptor, bytes, written);
    this.#bytes += bytes.length;
  }

  #open(): number {
    if (this.#descriptor !== null) return this.#descriptor;
    mkdirSync(dirname(this.#options.path), { recursive: true, mode: 0o755 });
    const descriptor = openSync(this.#options.path, "a", 0o600);
    this.#bytes = fstatSync(descriptor).size;
    this.#descriptor = descriptor;
    return descriptor;
  }

  #rotate(descriptor: number): void {
    closeSync(descriptor);
    this.#descriptor = null;
    let time = this.#options.now();
    while (existsSync(this.#asideAt(time)) || existsSync(`${this.#asideAt(time)}.gz`)) time += 1;
    const aside = this.#asideAt(time);
    renameSync(this.#options.path, aside);
    this.#tidying = this.#tidying
      .then(() => this.#tidy(aside))
      .catch((error: unknown) => this.#options.onError?.(error));
  }

  #asideAt(time: number): string {
    const stamp = new Date(time).toISOString().slice(0, 23).replaceAll(":", "-");
    return join(dirname(this.#options.path), `${this.#name}-${stamp}${this.#extension}`);
  }

  /** Files that were put aside, the oldest first. */
  backups(): string[] {
    const folder = dirname(this.#options.path);
    const isAside = (file: string): boolean => {
      const bare = file.replace(/\.gz$/, "");
      return (
        bare.startsWith(this.#name) &&
        bare.endsWith(this.#extension) &&
        TIME.test(bare.slice(this.#name.length, bare.length - this.#extension.length))
      );
    };
    return readdirSync(folder)
      .filter(isAside)
      .sort()
      .map((file) => join(folder, file));
  }

  async #tidy(aside: string): Promise<void> {
    if (this.#maxBackups > 0) for (const path of this.backups().slice(0, -this.#maxBackups)) rmSync(path);
    if (this.#options.compress !== true || !existsSync(aside)) return;
    writeFileSync(`${aside}.gz.part`, await compressed(readFileSync(aside)), { mode: 0o600 });
    renameSync(`${aside}.gz.part`, `${aside}.gz`);
    rmSync(aside);
  }

  /** Resolves when what was put aside is compressed too. */
  close(): Promise<void> {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    this.#descriptor = null;
    return this.#tidying;
  }
}
