/**
 * @module
 * `skep policy check, trace, test, diff, simulate, suggest`: the engine that fills the kernel's maps, asked without a kernel.
 */
import { watch } from "node:fs";
import { dirname, join, resolve } from "node:path";
import {
  checkPolicies,
  diffPolicies,
  formatDiff,
  formatJunit,
  formatResults,
  formatSimulation,
  formatTap,
  formatTrace,
  hasErrors,
  type L7Request,
  parseFlows,
  parsePortQuery,
  parseRequest,
  parseSuites,
  type PolicyDocument,
  PolicyModel,
  type PolicyTestResult,
  readForeign,
  type RecordedFlow,
  runSuite,
  simulate as simulateFlows,
  suggest as suggestPolicies,
  trace as tracePolicy,
} from "@skep/policy";
import { withClient } from "../client.ts";
import { CliError, EXIT_FAILED, usageError } from "../errors.ts";
import { counted } from "../output/count.ts";
import { formatProblems } from "../output/problems.ts";
import { hasColor, note, write } from "../output/print.ts";
import { agentDocuments, agentFlows, agentWorkloads } from "../policy/agent.ts";
import { loadObjects, type Objects, parseFiles, readFiles, readText } from "../policy/files.ts";

// ---- check ----

export interface CheckOptions {
  readonly paths: readonly string[];
  readonly strict?: boolean;
}

/** Exit status 1 where there is an error, or with `--strict` a warning. */
export async function check({ paths, strict }: CheckOptions): Promise<number> {
  const files = readFiles(paths);
  const { documents, foreign, diagnostics } = parseFiles(files);
  const known = readForeign(foreign);
  // Without a workload among the files every selector would select nothing.
  const found = [...diagnostics, ...(known.workloads.length > 0 ? checkPolicies(documents, known) : [])];
  await write(formatProblems(found, files, hasColor()));
  const errors = found.filter(({ severity }) => severity === "error").length;
  const warnings = found.filter(({ severity }) => severity === "warning").length;
  const parts = [
    counted(files.length, "file"),
    counted(documents.length, "policy", "policies"),
    counted(errors, "error"),
    counted(warnings, "warning"),
  ];
  await write(`${parts.join(", ")}\n`);
  return errors > 0 || (strict === true && warnings > 0) ? EXIT_FAILED : 0;
}

// ---- trace ----

export interface TraceOptions {
  readonly run: string;
  readonly src: string;
  readonly dst: string;
  readonly dport: string;
  readonly http?: string;
  readonly dns?: string;
  readonly file?: readonly string[];
  readonly all?: boolean;
}

function modelOf({ documents, foreign }: Omit<Objects, "diagnostics">): PolicyModel {
  const model = new PolicyModel();
  const known = readForeign(foreign);
  for (const namespace of known.namespaces) model.addNamespace(namespace);
  for (const workload of known.workloads) model.addWorkload(workload);
  model.setServices(known.services);
  model.setDocuments(documents);
  return model;
}

/** The policies and workloads of files; else of the agent. */
function worldOf({ run, file }: Pick<TraceOptions, "run" | "file">): Promise<PolicyModel> {
  if (file !== undefined) return Promise.resolve(modelOf(loadObjects(file)));
  return withClient(run, async (client) => {
    const [documents, workloads] = await Promise.all([agentDocuments(client), agentWorkloads(client)]);
    const model = new PolicyModel();
    for (const workload of workloads) model.addWorkload(workload);
    model.setDocuments(documents);
    return model;
  });
}

function requestOf({ http, dns }: Pick<TraceOptions, "http" | "dns">): L7Request | null {
  if (http !== undefined && dns !== undefined) throw usageError("--http and --dns exclude each other");
  const request = http !== undefined ? parseRequest("http", http) : dns !== undefined ? parseRequest("dns", dns) : null;
  if (request === null && http !== undefined)
    throw usageError(`"${http}" is not a request: write it as "GET /path [host]"`);
  return request;
}

/** Exit status 0 where the connection is allowed, 1 where it is denied. */
export async function trace(options: TraceOptions): Promise<number> {
  const port = parsePortQuery(options.dport);
  if (!port) throw usageError(`"${options.dport}" is not a port: write it as 80/TCP, 53/UDP or ICMP/8`);
  const request = requestOf(options);
  const model = await worldOf(options);
  const [source, destination] = [options.src, options.dst].map((name) => {
    const end = model.end(name);
    if (end) return end;
    throw new CliError(`there is no workload, labels, entity, address or DNS name "${name}"`);
  });
  if (!source || !destination) throw new Error("unreachable: both ends are known");
  const query = { source, destination, ...port, ...(request && { request }), all: options.all === true };
  const traced = tracePolicy(model.engine, query);
  await write(`${formatTrace({ ...query, names: [source.name, destination.name] }, traced)}\n`);
  return traced.verdict === "denied" ? EXIT_FAILED : 0;
}

// ---- test ----

export interface TestOptions {
  readonly paths: readonly string[];
  readonly output: "text" | "tap" | "junit";
  readonly watch?: boolean;
}

const reports = {
  text: (results: readonly PolicyTestResult[]) => `${formatResults(results)}\n`,
  tap: formatTap,
  junit: formatJunit,
};

interface SuiteRun {
  readonly results: PolicyTestResult[];
  /** What it read: what a watch looks at. */
  readonly read: string[];
}

function runSuites(paths: readonly string[]): SuiteRun {
  const files = readFiles(paths);
  const run: SuiteRun = { results: [], read: paths.map((path) => resolve(path)) };
  const problems = [];
  let suites = 0;
  for (const { file, text } of files) {
    const parsed = parseSuites(file, text);
    problems.push(...parsed.diagnostics);
    for (const suite of parsed.suites) {
      suites += 1;
      const policies = suite.policies.map((path) => join(dirname(file), path));
      run.read.push(...policies.map((path) => resolve(path)));
      const objects = policies.length > 0 ? loadObjects(policies) : { documents: [], foreign: [] };
      run.results.push(...runSuite(suite, objects));
    }
  }
  if (hasErrors(problems))
    throw new CliError(`the tests have errors\n${formatProblems(problems, files, false).trimEnd()}`);
  if (suites === 0) throw usageError(`there is no PolicyTest in ${paths.join(", ")}`);
  return run;
}

async function report({ results }: SuiteRun, output: TestOptions["output"]): Promise<number> {
  await write(reports[output](results));
  return results.every(({ ok }) => ok) ? 0 : EXIT_FAILED;
}

/** Edits come in bursts. */
const SETTLE_MS = 50;

/** Runs again at every change of what was read, until it is interrupted. */
async function watchSuites(options: TestOptions): Promise<void> {
  const run = async (): Promise<string[]> => {
    try {
      const done = runSuites(options.paths);
      await report(done, options.output);
      return done.read;
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      note(error.message);
      return options.paths.map((path) => resolve(path));
    }
  };
  const stopped = new Promise<void>((done) => process.once("SIGINT", done).once("SIGTERM", done));
  let watchers: { close(): void }[] = [];
  let timer: NodeJS.Timeout | undefined;
  const again = async (): Promise<void> => {
    const read = await run();
    for (const each of watchers) each.close();
    watchers = [...new Set(read)].map((path) =>
      watch(path, () => {
        clearTimeout(timer);
        timer = setTimeout(() => void again(), SETTLE_MS);
      }),
    );
  };
  await again();
  await stopped;
  clearTimeout(timer);
  for (const each of watchers) each.close();
}

export async function test(options: TestOptions): Promise<number> {
  if (options.watch !== true) return report(runSuites(options.paths), options.output);
  await watchSuites(options);
  return 0;
}

// ---- diff, simulate, suggest ----

export interface DiffOptions {
  readonly before: string;
  readonly after: string;
  readonly workloads?: readonly string[];
  readonly exitCode?: boolean;
}

export async function diff({ before, after, workloads, exitCode }: DiffOptions): Promise<number> {
  const [a, b] = [loadObjects([before]), loadObjects([after])];
  const more = workloads === undefined ? [] : loadObjects(workloads).foreign;
  const known = readForeign([...a.foreign, ...b.foreign, ...more]);
  const unique = new Map(known.workloads.map((each) => [`${each.namespace}/${each.name}`, each]));
  if (unique.size === 0) {
    throw usageError("no workload is known: put pods beside the policies, or name their files with --workloads");
  }
  const rows = diffPolicies(a.documents, b.documents, { ...known, workloads: [...unique.values()] });
  await write(`${formatDiff(rows)}\n`);
  return exitCode === true && rows.length > 0 ? EXIT_FAILED : 0;
}

interface FlowOptions {
  readonly run: string;
  /** A file of JSON lines, `-` for stdin; else the agent's ring. */
  readonly flows?: string;
}

async function recordedFlows({ run, flows }: FlowOptions): Promise<RecordedFlow[]> {
  if (flows === undefined) return agentFlows(run);
  const text = readText(flows);
  const parsed = parseFlows(flows === "-" ? "stdin" : flows, text);
  if (hasErrors(parsed.diagnostics)) {
    throw new CliError(`the flows have errors\n${formatProblems(parsed.diagnostics, [], false).trimEnd()}`);
  }
  return parsed.flows;
}

export interface SimulateOptions extends FlowOptions {
  readonly file: readonly string[];
  readonly before?: readonly string[];
  readonly exitCode?: boolean;
}

export async function simulate(options: SimulateOptions): Promise<number> {
  const after: PolicyDocument[] = loadObjects(options.file).documents;
  const before = options.before && loadObjects(options.before).documents;
  const flows = await recordedFlows(options);
  const simulation = simulateFlows({ after, flows, ...(before && { before }) });
  await write(`${formatSimulation(simulation)}\n`);
  return options.exitCode === true && simulation.changes.length > 0 ? EXIT_FAILED : 0;
}

export interface SuggestOptions extends FlowOptions {
  readonly dropped?: boolean;
  /** `--no-http` makes it false. */
  readonly http: boolean;
  readonly names?: boolean;
}

/** YAML on stdout, the proof on stderr: replayed against it, none of the flows is denied. */
export async function suggest(options: SuggestOptions): Promise<number> {
  const flows = await recordedFlows(options);
  const { dropped, http, names } = options;
  const suggestion = suggestPolicies(flows, { dropped: dropped === true, http, names: names === true });
  if (suggestion.documents.length === 0)
    throw new CliError("there is no flow between workloads to suggest a policy for");
  await write(suggestion.yaml);
  const { documents, flows: count, denied } = suggestion;
  const policies = counted(documents.length, "policy", "policies");
  note(`${policies} for ${counted(count, "flow")}; of these, replayed, ${denied.length} are denied`);
  return suggestion.denied.length > 0 ? EXIT_FAILED : 0;
}
