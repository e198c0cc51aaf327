/**
 * @module
 * What must be on disk before a map uses it: numbers of identities, endpoints, addresses and services, and the endpoints themselves.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { changeSnapshot, type NumberChange, type WorldSnapshot } from "@skep/control";
import { Journal, readJson, writeAtomic } from "./journal.ts";

export { StateError } from "./journal.ts";

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

/** What gives numbers, and tells which it has given since it was last asked. */
export interface Numbered {
  snapshot(): WorldSnapshot;
  numberChanges(): NumberChange[];
}

export class StateFolder {
  readonly #folder: string;
  readonly #endpoints: string;
  readonly #numbers: Journal;

  constructor(folder: string) {
    this.#folder = folder;
    this.#endpoints = join(folder, "endpoints");
    this.#numbers = new Journal(folder, "numbers");
    mkdirSync(this.#endpoints, { recursive: true, mode: 0o700 });
  }

  /** As they were last kept; null where they never were. Throws StateError. */
  readNumbers(): WorldSnapshot | null {
    const found = this.#numbers.read();
    if (!found) return null;
    const whole = found.whole as WorldSnapshot;
    return found.changes.length === 0 ? whole : changeSnapshot(whole, found.changes as NumberChange[]);
  }

  /** Written and synced when it returns: what has changed, or all of it where that is due. */
  keepNumbers(world: Numbered): void {
    const changes = world.numberChanges();
    if (this.#numbers.isDue) this.#numbers.replace(world.snapshot());
    else if (changes.length > 0) this.#numbers.append(changes);
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

  close(): void {
    this.#numbers.close();
  }
}
