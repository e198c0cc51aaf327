/**
 * @module
 * Tests of policies: files that say who reaches whom, and what the engine says.
 */
import { ipProtocols } from "@skep/net";
import type { Diagnostic, Span } from "./diagnostic.ts";
import type { NamedPort } from "./identity.ts";
import { formatRequest, parseRequest, type L7Request } from "./l7-match.ts";
import { PolicyModel, type ModelOptions } from "./model.ts";
import { parsePortQuery, type PortQuery } from "./ports-text.ts";
import type { ForeignDocument, PolicyDocument } from "./rule.ts";
import { Reader, type Field, type Fields } from "./source/reader.ts";
import { parseYaml } from "./source/yaml.ts";
import { formatPort } from "./text.ts";
import { formatTrace, sideVerdict, trace, type Trace, type TracedSide } from "./trace.ts";
import { readForeign, type NamespaceSpec, type WorkloadSpec } from "./workloads.ts";

export const SUITE_KIND = "PolicyTest";
export const SUITE_API_VERSION = "skep.io/v1";

export type ExpectedVerdict = "allowed" | "denied" | "redirected";

export interface PolicyTestCase {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly port: PortQuery;
  readonly request: L7Request | null;
  readonly verdict: ExpectedVerdict;
  readonly egress: ExpectedVerdict | null;
  readonly ingress: ExpectedVerdict | null;
  /** `name`, `namespace/name`, or a reason such as `default-deny`. */
  readonly by: string | null;
  readonly span: Span;
}

export interface PolicyTestSuite {
  readonly name: string;
  readonly file: string;
  /** Files and folders of policies, as written: relative to the suite. */
  readonly policies: readonly string[];
  readonly namespaces: readonly NamespaceSpec[];
  readonly workloads: readonly WorkloadSpec[];
  readonly tests: readonly PolicyTestCase[];
}

/** Reads the suites of a file; other objects are left alone. A suite with an error is left out. */
export function parseSuites(file: string, text: string): { suites: PolicyTestSuite[]; diagnostics: Diagnostic[] } {
  const { documents, diagnostics } = parseYaml(file, text);
  const suites: PolicyTestSuite[] = [];
  const found = [...diagnostics];
  for (const { root } of documents) {
    const kind = root.kind === "map" ? root.entries.get("kind")?.value : undefined;
    if (kind?.kind !== "scalar" || kind.value !== SUITE_KIND) continue;
    const reader = new Reader();
    const suite = readSuite(reader, { node: root, path: "" }, file);
    found.push(...reader.diagnostics);
    if (suite && reader.diagnostics.length === 0) suites.push(suite);
  }
  return { suites, diagnostics: found };
}

const suiteFields = ["apiVersion", "kind", "metadata", "name", "policies", "namespaces", "workloads", "tests"];

function readSuite(reader: Reader, root: Field, file: string): PolicyTestSuite | null {
  const fields = reader.fields(root, suiteFields);
  if (fields === null) return null;
  const version = fields.get("apiVersion");
  if (version) reader.oneOf(version, [SUITE_API_VERSION]);
  const metadataField = fields.get("metadata");
  const metadata = metadataField && reader.fields(metadataField, ["name"]);
  const name = fields.string("name") ?? metadata?.string("name") ?? file;
  return {
    name,
    file,
    policies: fields.strings("policies") ?? [],
    namespaces: readNamespaces(reader, fields.get("namespaces")),
    workloads: (fields.list("workloads") ?? []).flatMap((item) => readWorkload(reader, item) ?? []),
    tests: (fields.require("tests") ? (fields.list("tests") ?? []) : []).flatMap(
      (item) => readTest(reader, item) ?? [],
    ),
  };
}

function readNamespaces(reader: Reader, field: Field | null): NamespaceSpec[] {
  const node = field && reader.map(field);
  return [...(node?.entries ?? [])].map(([name, entry]) => ({
    name,
    labels: readTexts(reader, { node: entry.value, path: `${field?.path ?? ""}.${name}` }),
  }));
}

function readTexts(reader: Reader, field: Field | null): Record<string, string> {
  const node = field && reader.map(field);
  const texts: Record<string, string> = {};
  for (const [key, entry] of node?.entries ?? []) {
    const text = reader.string({ node: entry.value, path: `${field?.path ?? ""}.${key}` });
    if (text !== null) texts[key] = text;
  }
  return texts;
}

function readWorkload(reader: Reader, item: Field): WorkloadSpec | null {
  const fields = reader.fields(item, ["name", "namespace", "labels", "ports"]);
  const nameField = fields?.require("name");
  const name = nameField && reader.string(nameField);
  if (!fields || !name) return null;
  const labels = readTexts(reader, fields.get("labels"));
  return { namespace: fields.string("namespace") ?? "default", name, labels, namedPorts: readPorts(reader, fields) };
}

/** `ports: { http: 80/TCP }`. */
function readPorts(reader: Reader, fields: Fields): NamedPort[] {
  const field = fields.get("ports");
  const node = field && reader.map(field);
  return [...(node?.entries ?? [])].flatMap(([name, entry]) => {
    const at = { node: entry.value, path: `${field?.path ?? ""}.${name}` };
    const port = readPort(reader, at);
    return port ? [{ name, ...port }] : [];
  });
}

function readPort(reader: Reader, field: Field): PortQuery | null {
  const { node } = field;
  if (node.kind === "scalar" && typeof node.value === "number" && Number.isInteger(node.value))
    return { protocol: ipProtocols.tcp, port: node.value };
  const text = reader.string(field);
  const port = text === null ? null : parsePortQuery(text);
  if (text !== null && port === null)
    reader.report("SKEP6017", field, `${JSON.stringify(text)} is no port such as 80/TCP, 53/UDP or ICMP/EchoRequest`);
  return port;
}

const requestKinds = ["http", "dns", "kafka", "grpc", "cassandra", "memcached"];
const testFields = ["name", "from", "to", "port", ...requestKinds, "verdict", "egress", "ingress", "by"];
const verdicts = ["allowed", "denied", "redirected"] as const;

function readTest(reader: Reader, item: Field): PolicyTestCase | null {
  const fields = reader.fields(item, testFields);
  if (fields === null) return null;
  const required = (name: string): string => {
    const field = fields.require(name);
    return (field && reader.string(field)) ?? "";
  };
  const [from, to] = [required("from"), required("to")];
  const portField = fields.require("port");
  const port = portField && readPort(reader, portField);
  const verdictField = fields.require("verdict");
  const verdict = verdictField && reader.oneOf(verdictField, verdicts);
  const side = (name: string): ExpectedVerdict | null => {
    const field = fields.get(name);
    return field && reader.oneOf(field, verdicts);
  };
  const request = readRequest(reader, fields);
  const sides = { egress: side("egress"), ingress: side("ingress"), by: fields.string("by") };
  if (!port || !verdict) return null;
  const given = fields.string("name");
  const asked = request ? ` ${formatRequest(request)}` : "";
  const name = given ?? `${from} -> ${to} ${formatPort(port.protocol, port.port)}${asked} is ${verdict}`;
  return { name, from, to, port, request, verdict, ...sides, span: item.node.span };
}

function readRequest(reader: Reader, fields: Fields): L7Request | null {
  const kind = requestKinds.find((name) => fields.has(name));
  const field = kind === undefined ? null : fields.get(kind);
  const text = field && reader.string(field);
  if (kind === undefined || !field || text === null) return null;
  const request = parseRequest(kind, text);
  if (request === null)
    reader.report(
      "SKEP6006",
      field,
      `${JSON.stringify(text)} is no request of ${kind}`,
      "http: GET /path; dns: name; others: key=value",
    );
  return request;
}

export interface PolicyTestResult {
  readonly suite: string;
  readonly test: PolicyTestCase;
  readonly ok: boolean;
  /** What the engine says; null where an end is unknown. */
  readonly verdict: ExpectedVerdict | null;
  /** Why it failed. */
  readonly problems: readonly string[];
  /** The trace, as text. */
  readonly details: string;
}

/** Runs a suite against the policies that it names, which the caller has read. */
export function runSuite(
  suite: PolicyTestSuite,
  {
    documents,
    foreign,
  }: { readonly documents: readonly PolicyDocument[]; readonly foreign: readonly ForeignDocument[] },
  options: ModelOptions = {},
): PolicyTestResult[] {
  const model = modelOf(suite, foreign, options);
  model.setDocuments(documents);
  return suite.tests.map((test) => runTest(model, suite.name, test));
}

function modelOf(suite: PolicyTestSuite, foreign: readonly ForeignDocument[], options: ModelOptions): PolicyModel {
  const model = new PolicyModel(options);
  const read = readForeign(foreign);
  for (const namespace of [...read.namespaces, ...suite.namespaces]) model.addNamespace(namespace);
  for (const workload of [...read.workloads, ...suite.workloads]) model.addWorkload(workload);
  model.setServices(read.services);
  return model;
}

function runTest(model: PolicyModel, suite: string, test: PolicyTestCase): PolicyTestResult {
  const source = model.end(test.from);
  const destination = model.end(test.to);
  const unknown = [test.from, test.to].filter((_, i) => (i === 0 ? source : destination) === null);
  if (!source || !destination) {
    const problems = unknown.map((name) => `there is no workload, entity, address or name ${JSON.stringify(name)}`);
    return { suite, test, ok: false, verdict: null, problems, details: "" };
  }
  const request = test.request ? { request: test.request } : {};
  const query = { source, destination, ...test.port, ...request };
  const traced = trace(model.engine, query);
  const problems = problemsOf(test, traced);
  const details = formatTrace({ ...query, names: [source.name, destination.name] }, traced);
  return { suite, test, ok: problems.length === 0, verdict: traced.verdict, problems, details };
}

function problemsOf(test: PolicyTestCase, traced: Trace): string[] {
  const problems: string[] = [];
  const check = (what: string, expected: ExpectedVerdict | null, actual: ExpectedVerdict | null): void => {
    if (expected !== null && expected !== actual)
      problems.push(`${what} is ${actual ?? "not enforced here"}, not ${expected}`);
  };
  check("the connection", test.verdict, traced.verdict);
  check("egress", test.egress, traced.egress && sideVerdict(traced.egress));
  check("ingress", test.ingress, traced.ingress && sideVerdict(traced.ingress));
  const deciders = decidersOf(traced);
  if (test.by !== null && !deciders.includes(test.by))
    problems.push(`it was decided by ${deciders.length === 0 ? "no rule" : deciders.join(", ")}, not by ${test.by}`);
  return problems;
}

/** Names and reasons of the side that decided: the one that denies, or both. */
function decidersOf(traced: Trace): string[] {
  const sides = [traced.egress, traced.ingress].filter((side): side is TracedSide => side !== null);
  const deciding = sides.filter((side) => sideVerdict(side) === traced.verdict);
  return [
    ...new Set(
      deciding.flatMap(({ explanation, request }) => [
        ...(request?.rules ?? explanation.rules).flatMap(({ kind, name, namespace }) =>
          kind === "builtin" ? [name] : [name, ...(namespace === "" ? [] : [`${namespace}/${name}`])],
        ),
        explanation.reason,
      ]),
    ),
  ];
}
