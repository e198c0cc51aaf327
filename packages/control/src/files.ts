/**
 * @module
 * Files of the watched folder: what each says, and which of them can be taken over only together.
 */
import { type Diagnostic, parseDocuments, type ParseOptions, type PolicyDocument, type Span } from "@skep/policy";
import type { EgressPolicySpec } from "./egress/parse.ts";
import { FileParts, type KnownPart, markOf, type Part, splitDocuments } from "./file-parts.ts";
import { type FolderKey, type FolderObject, readObjects } from "./folder-objects.ts";
import type { NodePortRange } from "./load-balancer/parse/node-ports.ts";
import { sharedText } from "./shared-text.ts";
import { CLUSTER_KINDS, type ClusterObjects, joinObjects, NO_OBJECTS, parseClusterObject } from "./nodes.ts";

/** What is kept of a file. Objects are the load balancer's, here are their names. */
export interface FileContent {
  readonly policies: readonly PolicyDocument[];
  readonly objects: readonly FolderKey[];
  readonly cluster: ClusterObjects;
  readonly egress: readonly EgressPolicySpec[];
}
export type ReadContent = Omit<FileContent, "objects"> & { readonly objects: readonly FolderObject[] };

export const NO_CONTENT: ReadContent = { policies: [], objects: [], cluster: NO_OBJECTS, egress: [] };

/** `localCluster`: the cluster that the entity `cluster` means. `place`: where the text stands in its file; default it is the whole. `nodePorts`: those of the node. */
export type ReadOptions = Pick<ParseOptions, "localCluster" | "place"> & { readonly nodePorts?: NodePortRange };

export function readFile(
  file: string,
  text: string,
  options: ReadOptions = {},
): { content: ReadContent; diagnostics: Diagnostic[] } {
  const parsed = parseDocuments(file, text, options);
  const isCluster = ({ kind }: { kind: string }): boolean => CLUSTER_KINDS.has(kind);
  const cluster = parsed.foreign.filter(isCluster).map(parseClusterObject);
  const { objects, diagnostics: told } = readObjects(
    parsed.foreign.filter((document) => !isCluster(document)),
    file,
    options,
  );
  const diagnostics = [...parsed.diagnostics, ...told, ...cluster.flatMap((each) => each.diagnostics)];
  return {
    content: { policies: parsed.documents, objects, cluster: joinObjects(cluster), egress: egressOf(objects) },
    diagnostics,
  };
}

/** A file as it was read, and what of it is to be put into the tables. */
export interface TakenFile {
  readonly file: string;
  readonly content: FileContent;
  readonly put: readonly FolderObject[];
  /** For the next time; null: then all is read again. */
  readonly parts: FileParts | null;
}

export const keyOf = ({ kind, key, span }: FolderKey): FolderKey => ({ kind, key, span });

/** What a file says, read as a whole. */
export function readWhole(
  file: string,
  text: string,
  options: ReadOptions,
): TakenFile & { readonly diagnostics: Diagnostic[] } {
  const { content, diagnostics } = readFile(file, text, options);
  const parts = diagnostics.length === 0 && hasObjectsAlone(content) ? partsOf(text, content.objects) : null;
  return {
    file,
    content: { ...content, objects: content.objects.map(keyOf) },
    put: content.objects,
    parts,
    diagnostics,
  };
}

/** What stands in it beside objects depends on all of the file. */
function hasObjectsAlone({ policies, cluster, egress }: FileContent): boolean {
  return policies.length === 0 && cluster === NO_OBJECTS && egress.length === 0;
}

function partsOf(text: string, objects: readonly FolderKey[]): FileParts | null {
  const parts = splitDocuments(text);
  if (!parts) return null;
  const ends = parts.map((part) => part.offset + part.text.length);
  let at = 0;
  const counts = ends.map((end) => {
    const before = at;
    while (at < objects.length && (objects[at]?.span.offset ?? 0) < end) at += 1;
    return at - before;
  });
  return at === objects.length ? new FileParts(parts, counts) : null;
}

/**
 * A file that has changed, by its parts: those whose text is as before are not read again where `mayKeep` allows it. Null where that does not
 * do: something is wrong in it, or it has more than objects now.
 */
export function readChanged(
  { file, text, options }: { readonly file: string; readonly text: string; readonly options: ReadOptions },
  before: { readonly parts: FileParts; readonly objects: readonly FolderKey[] },
  mayKeep: (object: FolderKey) => boolean,
): TakenFile | null {
  const parts = splitDocuments(text);
  if (!parts) return null;
  const known = before.parts.known();
  const objects: FolderKey[] = [];
  const put: FolderObject[] = [];
  const counts: number[] = [];
  for (const part of parts) {
    const was = known.get(markOf(part.text));
    const own = was && before.objects.slice(was.first, was.first + was.count);
    if (was && own?.every(mayKeep)) {
      objects.push(...own.map((object) => moved(object, was, part)));
      counts.push(own.length);
      continue;
    }
    const { content, diagnostics } = readFile(file, part.text, { ...options, place: part });
    if (diagnostics.length > 0 || !hasObjectsAlone(content)) return null;
    objects.push(...content.objects.map(keyOf));
    put.push(...content.objects);
    counts.push(content.objects.length);
  }
  // Of two of one name the whole tells where both are.
  if (new Set(objects.map(({ kind, key }) => `${kind} ${key}`)).size < objects.length) return null;
  return { file, content: { ...NO_CONTENT, objects }, put, parts: new FileParts(parts, counts) };
}

function moved(object: FolderKey, from: KnownPart, to: Part): FolderKey {
  if (from.offset === to.offset && from.line === to.line) return object;
  const { kind, key, span } = object;
  const { file, line, column, offset, length } = span;
  const [lines, units] = [to.line - from.line, to.offset - from.offset];
  return { kind, key, span: { file, line: line + lines, column, offset: offset + units, length } };
}

function egressOf(objects: readonly FolderObject[]): EgressPolicySpec[] {
  return objects.flatMap((object) => (object.kind === "CiliumEgressGatewayPolicy" ? [object.spec] : []));
}

/** Of several files as of one. */
export function joinContents(contents: readonly FileContent[]): FileContent {
  const [first, ...rest] = contents;
  if (first && rest.length === 0) return first;
  const cluster = contents.map((each) => each.cluster).filter((each) => each !== NO_OBJECTS);
  return {
    policies: contents.flatMap(({ policies }) => policies),
    objects: contents.flatMap(({ objects }) => objects),
    cluster: joinObjects(cluster),
    egress: contents.flatMap(({ egress }) => egress),
  };
}

/** What may stand in one file only. */
export function identified({ policies, objects }: FileContent): { kind: string; key: string; span: Span }[] {
  return [
    ...policies.map((each) => ({ kind: each.kind, key: `${each.namespace}/${each.name}`, span: each.span })),
    ...objects,
  ];
}

export const placeKey = ({ kind, key }: { readonly kind: string; readonly key: string }): string =>
  sharedText(`${kind} ${key}`);

/** The most of the files that, taken over in one step, leave nothing standing twice. `placeOf`: the file where a document stands now. */
export function movedTogether<F extends { readonly file: string; readonly content: FileContent }>(
  files: readonly F[],
  placeOf: (key: string) => string | undefined,
): readonly F[] {
  let moved = files;
  for (;;) {
    const leaving = new Set(moved.map(({ file }) => file));
    const claims = new Map<string, number>();
    for (const { content } of moved)
      for (const object of identified(content)) {
        const key = placeKey(object);
        claims.set(key, (claims.get(key) ?? 0) + 1);
      }
    const isFree = ({ content }: F): boolean =>
      identified(content).every((object) => {
        const key = placeKey(object);
        const place = placeOf(key);
        return claims.get(key) === 1 && (place === undefined || leaving.has(place));
      });
    const free = moved.filter(isFree);
    if (free.length === moved.length) return moved;
    moved = free;
  }
}
