/**
 * @module
 * The objects of the watched folder that are no policies: read by kind, with their errors.
 */
import { type Diagnostic, type ForeignDocument, type Span } from "@skep/policy";
import { type EgressPolicySpec, parseEgressPolicy } from "./egress/parse.ts";
import type { LoadBalancer } from "./load-balancer/load-balancer.ts";
import { parseAddressPool } from "./load-balancer/parse/address-pool.ts";
import type { DocumentParser } from "./load-balancer/parse/common.ts";
import { nodePortsOutOfRange, type NodePortRange } from "./load-balancer/parse/node-ports.ts";
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

/** How the objects of a kind are read. `make`: of what was read and how it is known. */
function reading<S extends { readonly span: Span }>(
  parse: DocumentParser<S>,
  make: (spec: S, span: Span) => FolderObject,
): Reading {
  return (document, file) => {
    const { spec, diagnostics } = parse(document, file);
    return { object: spec && make(spec, spec.span), diagnostics };
  };
}

const KINDS: Readonly<Record<string, { readonly group: string; readonly read: Reading }>> = {
  Service: {
    group: "",
    read: reading(parseService, (spec, span) => ({ kind: "Service", key: objectKey(spec), span, spec })),
  },
  EndpointSlice: {
    group: "discovery.k8s.io",
    read: reading(parseEndpointSlice, (spec, span) => ({ kind: "EndpointSlice", key: objectKey(spec), span, spec })),
  },
  Pod: {
    group: "",
    read: reading(parsePod, (spec, span) => ({ kind: "Pod", key: objectKey(spec), span, spec })),
  },
  CiliumLocalRedirectPolicy: {
    group: "cilium.io",
    read: reading(parseRedirect, (spec, span) => {
      return { kind: "CiliumLocalRedirectPolicy", key: objectKey(spec), span, spec };
    }),
  },
  CiliumLoadBalancerIPPool: {
    group: "cilium.io",
    read: reading(parseAddressPool, (spec, span) => ({ kind: "CiliumLoadBalancerIPPool", key: spec.name, span, spec })),
  },
  CiliumEgressGatewayPolicy: {
    group: "cilium.io",
    read: reading(parseEgressPolicy, (spec, span) => {
      return { kind: "CiliumEgressGatewayPolicy", key: spec.name, span, spec };
    }),
  },
};

/** `nodePorts`: services may have those alone. Default: any. */
export function readObjects(
  documents: readonly ForeignDocument[],
  file: string,
  { nodePorts }: { readonly nodePorts?: NodePortRange } = {},
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
    const hasNodePorts = object?.kind === "Service" && ["NodePort", "LoadBalancer"].includes(object.spec.type);
    if (nodePorts && hasNodePorts) diagnostics.push(...nodePortsOutOfRange(document, nodePorts));
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
