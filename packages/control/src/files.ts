/**
 * @module
 * Files of the watched folder: what each says, and which of them can be taken over only together.
 */
import { type Diagnostic, parseDocuments, type PolicyDocument, type Span } from "@skep/policy";
import type { EgressPolicySpec } from "./egress/parse.ts";
import { type FolderKey, type FolderObject, readObjects } from "./folder-objects.ts";
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

/** `localCluster`: the cluster that the entity `cluster` means. */
export function readFile(
  file: string,
  text: string,
  options: { readonly localCluster?: string } = {},
): { content: ReadContent; diagnostics: Diagnostic[] } {
  const parsed = parseDocuments(file, text, options);
  const isCluster = ({ kind }: { kind: string }): boolean => CLUSTER_KINDS.has(kind);
  const cluster = parsed.foreign.filter(isCluster).map(parseClusterObject);
  const { objects, diagnostics: told } = readObjects(
    parsed.foreign.filter((document) => !isCluster(document)),
    file,
  );
  const diagnostics = [...parsed.diagnostics, ...told, ...cluster.flatMap((each) => each.diagnostics)];
  return {
    content: { policies: parsed.documents, objects, cluster: joinObjects(cluster), egress: egressOf(objects) },
    diagnostics,
  };
}

function egressOf(objects: readonly FolderObject[]): EgressPolicySpec[] {
  return objects.flatMap((object) => (object.kind === "CiliumEgressGatewayPolicy" ? [object.spec] : []));
}

/** Of several files as of one. */
export function joinContents(contents: readonly ReadContent[]): ReadContent;
export function joinContents(contents: readonly FileContent[]): FileContent;
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
