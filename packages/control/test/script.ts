/**
 * @module
 * Interpreter of Cilium's load balancer scripts: commands over a load balancer and maps that hold what it says. What upstream retries
 * (`*`) is there at once here, so a retried command is a plain one.
 */
import { parseAddress } from "@skep/net";
import { type Diagnostic, type ForeignDocument, parseDocuments } from "@skep/policy";
import {
  backendsTable,
  changeBetween,
  frontendsTable,
  LoadBalancer,
  type LoadBalancerConfig,
  type LoadBalancerRows,
  mapLines,
  type NodeAddress,
  type DocumentParser,
  parseEndpointSlice,
  parsePod,
  parseRedirect,
  parseService,
  servicesTable,
  type TextTable,
} from "../src/load-balancer/index.ts";
import { FakeMaps } from "./fake-maps.ts";
import { type Archive, parseTxtar } from "./txtar.ts";

/** The name that upstream's test application gives its node. */
const NODE = "testnode";

export class ScriptError extends Error {
  override readonly name = "ScriptError";
}

export interface ScriptResult {
  readonly commands: number;
  /** Commands that compared something. */
  readonly checks: number;
}

export function runScript(text: string): ScriptResult {
  return new Script(parseTxtar(text)).run();
}

class Script {
  readonly #lines: readonly string[];
  readonly #files: Map<string, string>;
  readonly #maps = new FakeMaps();
  readonly #addresses: Record<string, string>[] = [];
  #labels: Record<string, string> = {};
  #balancer: LoadBalancer | null = null;
  #snapshot: LoadBalancerRows | null = null;
  #checks = 0;

  constructor({ comment, files }: Archive) {
    this.#lines = comment.split("\n");
    this.#files = new Map(files);
  }

  run(): ScriptResult {
    let commands = 0;
    for (const [at, raw] of this.#lines.entries()) {
      const line = raw.trim();
      if (line === "" || line.startsWith("#")) continue;
      commands += 1;
      try {
        this.#command(line.replace(/^\*\s+/, ""));
      } catch (error) {
        throw new ScriptError(`line ${at + 1}: ${line}\n${error instanceof Error ? error.message : String(error)}`);
      }
    }
    return { commands, checks: this.#checks };
  }

  #command(line: string): void {
    const words = splitWords(line);
    const negated = words[0] === "!";
    const [name = "", ...args] = negated ? words.slice(1) : words;
    const command = this.#commands[name];
    if (!command) throw new Error(`no command ${name}`);
    if (!negated) return command(args);
    let failed = false;
    try {
      command(args);
    } catch {
      failed = true;
    }
    if (!failed) throw new Error("was to fail");
  }

  readonly #commands: Readonly<Record<string, (args: readonly string[]) => void>> = {
    "hive/start": () => this.#start(),
    hive: () => this.#start(),
    "k8s/add": (files) => this.#each(files, (document, file) => this.#set(document, file)),
    "k8s/update": (files) => this.#each(files, (document, file) => this.#set(document, file)),
    "k8s/delete": (files) => this.#each(files, (document, file) => this.#delete(document, file)),
    "db/insert": ([, ...files]) => files.forEach((file) => this.#addresses.push(this.#flatYaml(file))),
    "db/cmp": ([table = "", file = ""]) => this.#compareTable(table, file),
    "db/show": ([table = ""]) => void this.#table(table),
    "db/empty": (tables) => tables.forEach((table) => this.#expect([], this.#table(table).rows)),
    "lb/maps-dump": ([file = ""]) => void this.#files.set(file, this.#dump()),
    "lb/maps-empty": () => this.#expect("", this.#dump()),
    "lb/maps-snapshot": () => void (this.#snapshot = this.#maps.rows()),
    "lb/maps-restore": () => this.#maps.restore(this.#snapshot ?? this.#maps.rows()),
    "lb/prune": () => this.#maps.apply(changeBetween(this.#maps.rows(), this.#app.rows())),
    cmp: ([a = "", b = ""]) => this.#expect(this.#file(a).trimEnd(), this.#file(b).trimEnd()),
    empty: ([file = ""]) => this.#expect("", this.#file(file)),
    grep: ([pattern = "", file = ""]) => this.#expect(true, new RegExp(pattern).test(this.#file(file))),
    cp: ([from = "", to = ""]) => void this.#files.set(to, this.#file(from)),
    replace: ([from = "", to = "", file = ""]) => void this.#files.set(file, this.#file(file).replaceAll(from, to)),
    sed: ([from = "", to = "", file = ""]) =>
      void this.#files.set(file, this.#file(file).replace(new RegExp(from, "g"), to)),
    // Upstream waits here for its own start; there is nothing to wait for.
    "test/init-wait": () => void this.#app,
    sleep: () => void this.#app,
    "test/set-node-labels": (labels) => this.#setLabels(labels),
  };

  get #app(): LoadBalancer {
    if (!this.#balancer) throw new Error("the script has not started the application");
    return this.#balancer;
  }

  #start(): void {
    this.#balancer = new LoadBalancer(configOf(this.#lines[0] ?? ""), { name: NODE, labels: this.#labels });
    this.#balancer.setNodeAddresses(this.#addresses.map(nodeAddress));
    this.#commit();
  }

  #setLabels(labels: readonly string[]): void {
    this.#labels = Object.fromEntries(labels.map((label) => label.split("=") as [string, string]));
    this.#balancer?.setNodeLabels(this.#labels);
    if (this.#balancer) this.#commit();
  }

  #commit(): void {
    this.#maps.apply(this.#app.commit());
  }

  #file(name: string): string {
    const text = this.#files.get(name);
    if (text === undefined) throw new Error(`no file ${name}`);
    return text;
  }

  #flatYaml(file: string): Record<string, string> {
    const pairs = this.#file(file).matchAll(/^(\w+): (.*)$/gm);
    return Object.fromEntries([...pairs].map(([, key = "", value = ""]) => [key, value]));
  }

  #each(files: readonly string[], act: (document: ForeignDocument, file: string) => void): void {
    for (const file of files) {
      const { foreign, diagnostics } = parseDocuments(file, this.#file(file));
      refuse(diagnostics);
      for (const document of foreign) act(document, file);
      this.#commit();
    }
  }

  #set(document: ForeignDocument, file: string): void {
    const { service, slice, pod, redirect } = parseObject(document, file);
    if (service) this.#app.setService(service);
    if (slice) this.#app.setEndpointSlice(slice);
    if (pod) this.#app.setPod(pod);
    if (redirect) this.#app.setRedirect(redirect);
  }

  #delete(document: ForeignDocument, file: string): void {
    const { service, slice, pod, redirect } = parseObject(document, file);
    const key = (object: { namespace: string; name: string }): string => `${object.namespace}/${object.name}`;
    if (service) this.#app.deleteService(key(service));
    if (slice) this.#app.deleteEndpointSlice(key(slice));
    if (pod) this.#app.deletePod(key(pod));
    if (redirect) this.#app.deleteRedirect(key(redirect));
  }

  #dump(): string {
    return mapLines(this.#maps.rows())
      .map((line) => `${line}\n`)
      .join("");
  }

  #table(name: string): TextTable {
    if (name === "services") return servicesTable(this.#app);
    if (name === "frontends") return frontendsTable(this.#app);
    if (name === "backends") return backendsTable(this.#app);
    if (name !== "node-addresses") throw new Error(`no table ${name}`);
    const columns = ["addr", "nodeport", "primary", "devicename"];
    return {
      header: ["Address", "NodePort", "Primary", "DeviceName"],
      rows: this.#addresses.map((address) => columns.map((column) => address[column] ?? "")),
    };
  }

  /** The columns that the file names, at the places where its header has them; rows in the table's order. */
  #compareTable(name: string, file: string): void {
    const [header = "", ...lines] = this.#file(file)
      .split("\n")
      .filter((line) => line.trim() !== "");
    const columns = [...header.matchAll(/\S+/g)].map((match) => ({ name: match[0], at: match.index }));
    const cell = (line: string, at: number): string =>
      line.slice(columns[at]?.at ?? 0, columns[at + 1]?.at ?? line.length).trim();
    const wanted = lines.map((line) => columns.map((_, at) => cell(line, at)));
    const table = this.#table(name);
    const places = columns.map((column) => table.header.indexOf(column.name));
    if (places.includes(-1)) throw new Error(`a column of ${header} is none of ${table.header.join(", ")}`);
    this.#expect(
      wanted,
      table.rows.map((row) => places.map((place) => row[place] ?? "")),
    );
  }

  #expect(wanted: unknown, found: unknown): void {
    this.#checks += 1;
    const [a, b] = [wanted, found].map((value) => (typeof value === "string" ? value : JSON.stringify(value, null, 1)));
    if (a !== b) throw new Error(`wanted:\n${a}\nfound:\n${b}`);
  }
}

function refuse(diagnostics: readonly Diagnostic[]): void {
  const [first] = diagnostics.filter(({ severity }) => severity === "error");
  if (first) throw new Error(`${first.path ?? ""}: ${first.message}`);
}

function parseObject(
  document: ForeignDocument,
  file: string,
): {
  readonly service?: ReturnType<typeof parseService>["spec"];
  readonly slice?: ReturnType<typeof parseEndpointSlice>["spec"];
  readonly pod?: ReturnType<typeof parsePod>["spec"];
  readonly redirect?: ReturnType<typeof parseRedirect>["spec"];
} {
  const read = <S>(parse: DocumentParser<S>): S | null => {
    const { spec, diagnostics } = parse(document, file);
    refuse(diagnostics);
    return spec;
  };
  if (document.kind === "Service") return { service: read(parseService) };
  if (document.kind === "EndpointSlice") return { slice: read(parseEndpointSlice) };
  if (document.kind === "Pod") return { pod: read(parsePod) };
  if (document.kind === "CiliumLocalRedirectPolicy") return { redirect: read(parseRedirect) };
  throw new Error(`no kind ${document.kind}`);
}

function nodeAddress(row: Readonly<Record<string, string>>): NodeAddress {
  const address = parseAddress(row["addr"] ?? "");
  if (!address) throw new Error(`${row["addr"] ?? ""} is no address`);
  return { address, nodePort: row["nodeport"] === "true" };
}

/** The flags of the `#!` line; the test application's Maglev tables have 1021 slots, and it looks at no topology unless told to. */
function configOf(line: string): Partial<LoadBalancerConfig> {
  const flags = line.startsWith("#!") ? line.slice(2).trim().split(/\s+/) : [];
  const values = new Map(
    flags.map((flag) => {
      const [name = "", value = "true"] = flag.replace(/^--/, "").split("=");
      return [name, value] as const;
    }),
  );
  const algorithm = values.get("bpf-lb-algorithm") ?? values.get("node-port-algorithm");
  const on = (name: string): boolean => values.get(name) === "true";
  return {
    maglevTableSize: 1021,
    serviceTopology: on("enable-service-topology"),
    externalClusterIp: on("bpf-lb-external-clusterip"),
    ...(algorithm === "maglev" ? { algorithm } : {}),
  };
}

/** Words, with single quotes around those that have blanks. Double quotes quote nothing upstream. */
function splitWords(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
}
