/**
 * @module
 * The objects of the watched folder that are no policies: read by kind, with their errors.
 */
import { type Diagnostic, type ForeignDocument, type Span } from "@skep/policy";
import { type EgressPolicySpec, parseEgressPolicy } from "./egress/parse.ts";
import type { LoadBalancer } from "./load-balancer/load-balancer.ts";
import { parseAddressPool } from "./load-balancer/parse/address-pool.ts";
import { parseEndpointSlice } from "./load-balancer/parse/endpoint-slice.ts";
import { parsePod } from "./load-balancer/parse/pod.ts";
import { parseRedirect } from "./load-balancer/parse/redirect.ts";
import { parseService } from "./load-balancer/parse/service.ts";
import {
  type AddressPoolSpec,
  type EndpointSliceSpec,
  objectKey,
  type PodSpec,
  type RedirectSpec,
  type ServiceSpec,
} from "./load-balancer/spec.ts";

interface Base {
  /** `namespace/name`. */
  readonly key: string;
  readonly span: Span;
}
export type FolderObject =
  | (Base & { readonly kind: "Service"; readonly spec: ServiceSpec })
  | (Base & { readonly kind: "EndpointSlice"; readonly spec: EndpointSliceSpec })
  | (Base & { readonly kind: "Pod"; readonly spec: PodSpec })
  | (Base & { readonly kind: "CiliumLocalRedirectPolicy"; readonly spec: RedirectSpec })
  | (Base & { readonly kind: "CiliumLoadBalancerIPPool"; readonly spec: AddressPoolSpec })
  | (Base & { readonly kind: "CiliumEgressGatewayPolicy"; readonly spec: EgressPolicySpec });

/** What is kept of an object that control has taken over. */
export type FolderKey = Base & { readonly kind: FolderObject["kind"] };

interface Read {
  readonly object: FolderObject | null;
  readonly diagnostics: readonly Diagnostic[];
}
type Reading = (document: ForeignDocument, file: string) => Read;

const found = (object: FolderObject | null, diagnostics: readonly Diagnostic[]): Read => ({ object, diagnostics });

const KINDS: Readonly<Record<string, { readonly group: string; readonly read: Reading }>> = {
  Service: {
    group: "",
    read: (document, file) => {
      const { service: spec, diagnostics } = parseService(document, file);
      return found(spec && { kind: "Service", key: objectKey(spec), span: spec.span, spec }, diagnostics);
    },
  },
  EndpointSlice: {
    group: "discovery.k8s.io",
    read: (document, file) => {
      const { slice: spec, diagnostics } = parseEndpointSlice(document, file);
      return found(spec && { kind: "EndpointSlice", key: objectKey(spec), span: spec.span, spec }, diagnostics);
    },
  },
  Pod: {
    group: "",
    read: (document, file) => {
      const { pod: spec, diagnostics } = parsePod(document, file);
      return found(spec && { kind: "Pod", key: objectKey(spec), span: spec.span, spec }, diagnostics);
    },
  },
  CiliumLocalRedirectPolicy: {
    group: "cilium.io",
    read: (document, file) => {
      const { redirect: spec, diagnostics } = parseRedirect(document, file);
      return found(
        spec && { kind: "CiliumLocalRedirectPolicy", key: objectKey(spec), span: spec.span, spec },
        diagnostics,
      );
    },
  },
  CiliumLoadBalancerIPPool: {
    group: "cilium.io",
    read: (document, file) => {
      const { pool: spec, diagnostics } = parseAddressPool(document, file);
      return found(spec && { kind: "CiliumLoadBalancerIPPool", key: spec.name, span: spec.span, spec }, diagnostics);
    },
  },
  CiliumEgressGatewayPolicy: {
    group: "cilium.io",
    read: (document, file) => {
      const { policy: spec, diagnostics } = parseEgressPolicy(document, file);
      return found(spec && { kind: "CiliumEgressGatewayPolicy", key: spec.name, span: spec.span, spec }, diagnostics);
    },
  },
};

export function readObjects(
  documents: readonly ForeignDocument[],
  file: string,
): { readonly objects: readonly FolderObject[]; readonly diagnostics: readonly Diagnostic[] } {
  const objects: FolderObject[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const document of documents) {
    const kind = Object.hasOwn(KINDS, document.kind) ? KINDS[document.kind] : undefined;
    if (!kind || groupOf(document) !== kind.group) {
      diagnostics.push({
        code: "SKEP6046",
        severity: "warning",
        message: `the kind ${document.kind} is not read here: the object is left out`,
        span: document.node.span,
      });
      continue;
    }
    const { object, diagnostics: told } = kind.read(document, file);
    diagnostics.push(...told);
    const twice = object && objects.find((each) => each.kind === object.kind && each.key === object.key);
    if (twice) diagnostics.push(givenTwice(object, "is given twice", twice.span));
    else if (object) objects.push(object);
  }
  return { objects, diagnostics };
}

function groupOf({ apiVersion }: ForeignDocument): string {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
}

export function givenTwice(
  { kind, key, span }: { readonly kind: string; readonly key: string; readonly span: Span },
  message: string,
  first: Span,
): Diagnostic {
  return {
    code: "SKEP6034",
    severity: "error",
    message: `${kind} ${key} ${message}`,
    span,
    hint: "give it another name, or remove one of them",
    related: [{ message: "the first is here", span: first }],
  };
}

/** Services and the pools of their addresses go another way. */
export function putObject(
  balancer: LoadBalancer,
  object: Exclude<FolderObject, { kind: "Service" | "CiliumLoadBalancerIPPool" }>,
): void {
  // Its rows are made anew each time.
  if (object.kind === "CiliumEgressGatewayPolicy") return;
  if (object.kind === "EndpointSlice") balancer.setEndpointSlice(object.spec);
  else if (object.kind === "Pod") balancer.setPod(object.spec);
  else balancer.setRedirect(object.spec);
}

export function takeObject(balancer: LoadBalancer, { kind, key }: Pick<FolderObject, "kind" | "key">): void {
  if (kind === "CiliumEgressGatewayPolicy" || kind === "CiliumLoadBalancerIPPool") return;
  if (kind === "Service") balancer.deleteService(key);
  else if (kind === "EndpointSlice") balancer.deleteEndpointSlice(key);
  else if (kind === "Pod") balancer.deletePod(key);
  else balancer.deleteRedirect(key);
}
