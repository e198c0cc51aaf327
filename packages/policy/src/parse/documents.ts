import type { Diagnostic } from "../diagnostic.ts";
import { hasErrors } from "../diagnostic.ts";
import type { ForeignDocument, PolicyDocument } from "../rule.ts";
import { documentKey } from "../rule.ts";
import { fromValue, type SourceNode } from "../source/node.ts";
import { Reader, type Field } from "../source/reader.ts";
import { parseYaml } from "../source/yaml.ts";
import { parseCiliumPolicy } from "./cilium.ts";
import { parseCidrGroup } from "./cidr-group.ts";
import { parseClusterNetworkPolicy } from "./cluster-network-policy.ts";
import { parseNetworkPolicy } from "./kubernetes.ts";
import type { ObjectHead } from "./metadata.ts";
import { parseSettings, type ParseOptions, type ParseSettings } from "./options.ts";
import { warnings } from "./warnings.ts";

export interface ParsedFile {
  /** Policies without an error, in the order of the file. */
  readonly documents: PolicyDocument[];
  /** Objects of other kinds. */
  readonly foreign: ForeignDocument[];
  readonly diagnostics: Diagnostic[];
}

type Parsed = Omit<PolicyDocument, "apiVersion" | "span" | "text" | "cidrGroup"> &
  Partial<Pick<PolicyDocument, "cidrGroup">>;
type KindParser = (reader: Reader, head: ObjectHead, settings: ParseSettings) => Parsed | null;

/** The kinds that are policies, with the groups of their API. */
const kinds: Readonly<Record<string, { readonly group: string; readonly parse: KindParser }>> = {
  CiliumNetworkPolicy: { group: "cilium.io", parse: parseCiliumPolicy },
  CiliumClusterwideNetworkPolicy: { group: "cilium.io", parse: parseCiliumPolicy },
  NetworkPolicy: { group: "networking.k8s.io", parse: parseNetworkPolicy },
  ClusterNetworkPolicy: { group: "policy.networking.k8s.io", parse: parseClusterNetworkPolicy },
  CiliumCIDRGroup: { group: "cilium.io", parse: parseCidrGroup },
};

/**
 * Reads all policies of a YAML or JSON file. A document with an error is left out of `documents` and its errors are among
 * the diagnostics, which have positions.
 */
export function parseDocuments(file: string, text: string, options: ParseOptions = {}): ParsedFile {
  const { documents, diagnostics } = parseYaml(file, text, options.place);
  const result: ParsedFile = { documents: [], foreign: [], diagnostics: [...diagnostics] };
  const settings = parseSettings(options);
  for (const { root, text: source } of documents) parseObject(result, { root, text: source, path: "" }, settings);
  checkTwice(result);
  return result;
}

/** Like `parseDocuments` for one object that is already parsed; positions are the start of `file`. */
export function parseValue(file: string, value: unknown, options: ParseOptions = {}): ParsedFile {
  const result: ParsedFile = { documents: [], foreign: [], diagnostics: [] };
  const text = JSON.stringify(value, null, 2);
  parseObject(result, { root: fromValue(file, value), text, path: "" }, parseSettings(options));
  return result;
}

interface ObjectSource {
  readonly root: SourceNode;
  readonly text: string;
  readonly path: string;
}

function parseObject(result: ParsedFile, { root, text, path }: ObjectSource, settings: ParseSettings): void {
  const reader = new Reader();
  const head = readHead(reader, { node: root, path });
  if (head === null) {
    result.diagnostics.push(...reader.diagnostics);
    return;
  }
  if (head.kind === "List" || head.kind.endsWith("PolicyList")) {
    const items = root.kind === "map" ? root.entries.get("items")?.value : undefined;
    if (items?.kind === "list")
      for (const [i, item] of items.items.entries())
        parseObject(result, { root: item, text, path: `items[${i}]` }, settings);
    return;
  }
  const kind = Object.hasOwn(kinds, head.kind) ? kinds[head.kind] : undefined;
  if (!kind || head.apiVersion.split("/")[0] !== kind.group) {
    result.foreign.push({ kind: head.kind, apiVersion: head.apiVersion, node: root, text });
    return;
  }
  const parsed = kind.parse(reader, head, settings);
  result.diagnostics.push(...reader.diagnostics);
  if (!parsed || hasErrors(reader.diagnostics)) return;
  const audit = isAudited(root);
  const rules = audit ? parsed.rules.map((rule) => ({ ...rule, audit })) : parsed.rules;
  const document = { cidrGroup: null, ...parsed, rules, apiVersion: head.apiVersion, span: root.span, text };
  result.documents.push(document);
  result.diagnostics.push(...warnings(document));
}

/** Annotation of a policy whose denials are only told. */
export const AUDIT_ANNOTATION = "policy.skep.io/audit";

function isAudited(root: SourceNode): boolean {
  const child = (node: SourceNode | undefined, key: string): SourceNode | undefined =>
    node?.kind === "map" ? node.entries.get(key)?.value : undefined;
  const value = child(child(child(root, "metadata"), "annotations"), AUDIT_ANNOTATION);
  return value?.kind === "scalar" && value.value === "true";
}

function readHead(reader: Reader, root: Field): ObjectHead | null {
  const node = reader.map(root);
  if (node === null) return null;
  const read = (name: string): string | null => {
    const value = node.entries.get(name)?.value;
    if (value?.kind === "scalar" && typeof value.value === "string" && value.value !== "") return value.value;
    reader.report("SKEP6002", root, `this is no object of Kubernetes: ${name} is missing`);
    return null;
  };
  const apiVersion = read("apiVersion");
  const kind = read("kind");
  return apiVersion === null || kind === null ? null : { root, apiVersion, kind };
}

/** The same object twice in one file: neither can be meant. */
function checkTwice(result: ParsedFile): void {
  const seen = new Map<string, PolicyDocument>();
  for (const document of result.documents) {
    const key = documentKey(document);
    const first = seen.get(key);
    seen.set(key, document);
    if (!first) continue;
    result.diagnostics.push({
      code: "SKEP6034",
      severity: "error",
      message: `${key} is given twice`,
      span: document.span,
      related: [{ message: "the first is here", span: first.span }],
    });
  }
}
