/**
 * @module
 * What must be on disk before a map uses it: numbers of identities, endpoints, addresses and services, and the endpoints themselves.
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";

/** A file of the state folder that does not parse: the agent does not guess at numbers that maps hold. */
export class StateError extends Error {
  override readonly name = "StateError";
  readonly file: string;
  constructor(file: string, cause: unknown) {
    super(`${file} is damaged: put back a good copy, or take the datapath down (skep down) and remove it`, { cause });
    this.file = file;
  }
}

/** An endpoint as a later agent finds it again. Addresses as text. */
export interface EndpointRecord {
  readonly id: number;
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly address: string;
  readonly address6?: string;
  readonly interfaceName: string;
  readonly interfaceIndex: number;
  readonly mac: string;
  readonly hostMac: string;
  readonly netns: string;
  readonly cgroup: string;
  readonly namedPorts?: readonly { readonly name: string; readonly protocol: number; readonly port: number }[];
  readonly bandwidth?: { readonly egress?: number; readonly ingress?: number };
  readonly audit?: boolean;
}

/** How policies are enforced, as the user last set it. */
export interface SettingsRecord {
  readonly enforcement?: "default" | "always" | "never";
  readonly auditNamespaces?: readonly string[];
}

export class StateFolder {
  readonly #folder: string;
  readonly #endpoints: string;
  #written = "";

  constructor(folder: string) {
    this.#folder = folder;
    this.#endpoints = join(folder, "endpoints");
    mkdirSync(this.#endpoints, { recursive: true, mode: 0o700 });
  }

  readNumbers(): unknown {
    return readJson(join(this.#folder, "numbers.json"));
  }

  /** Written and synced when it returns; nothing happens where nothing changed. */
  writeNumbers(numbers: unknown): void {
    const text = JSON.stringify(numbers);
    if (text === this.#written) return;
    writeAtomic(join(this.#folder, "numbers.json"), text);
    this.#written = text;
  }

  readSettings(): SettingsRecord {
    return (readJson(join(this.#folder, "settings.json")) ?? {}) as SettingsRecord;
  }

  writeSettings(settings: SettingsRecord): void {
    writeAtomic(join(this.#folder, "settings.json"), JSON.stringify(settings));
  }

  readEndpoints(): EndpointRecord[] {
    return readdirSync(this.#endpoints)
      .filter((name) => name.endsWith(".json"))
      .map((name) => readJson(join(this.#endpoints, name)) as EndpointRecord)
      .sort((a, b) => a.id - b.id);
  }

  writeEndpoint(record: EndpointRecord): void {
    writeAtomic(join(this.#endpoints, `${record.id}.json`), JSON.stringify(record));
  }

  removeEndpoint(id: number): void {
    rmSync(join(this.#endpoints, `${id}.json`), { force: true });
  }
}

function readJson(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw new StateError(file, error);
  }
}

/** The old content or the new one, whatever happens; the folder is synced so that the name lasts too. */
function writeAtomic(file: string, text: string): void {
  const fresh = `${file}.new`;
  const fd = openSync(fresh, "w", 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(fresh, file);
  const folder = openSync(join(file, ".."), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
