/**
 * @module
 * CiliumLocalRedirectPolicy (cilium.io/v2): traffic to an address or a service goes to workloads of this node.
 */
import {
  type Field,
  type Fields,
  type ForeignDocument,
  parseMetadata,
  parseSelector,
  plainSelector,
  type Reader,
} from "@skep/policy";
import type { RedirectPort, RedirectSpec } from "../spec.ts";
import { documentParser, documentRoot, PROTOCOLS, readAddress, readPortName, readProtocol, textAt } from "./common.ts";

export const parseRedirect = documentParser(readRedirect);

function readRedirect(reader: Reader, document: ForeignDocument, file: string): RedirectSpec | null {
  const object = reader.fields(documentRoot(document), ["apiVersion", "kind", "metadata", "spec", "status"]);
  const metadata = object && parseMetadata(reader, object, "default");
  const specField = object?.require("spec");
  const known = ["redirectFrontend", "redirectBackend", "skipRedirectFromBackend", "description", "nodeSelector"];
  const spec = specField && reader.fields(specField, known);
  const frontendField = spec?.require("redirectFrontend");
  const backendField = spec?.require("redirectBackend");
  if (!metadata || !spec || !frontendField || !backendField) return null;
  const frontend = readFrontend(reader, frontendField, metadata.namespace);
  const backend = readBackend(reader, backendField);
  if (!frontend || !backend) return null;
  const several = frontend.ports.length > 1 || (frontend.kind === "address" && backend.ports.length > 1);
  if (several) checkNames(reader, backendField, { frontend: frontend.ports, backend: backend.ports });
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    created: textAt(document.node, "metadata", "creationTimestamp"),
    frontend,
    ...backend,
    skipFromBackend: spec.boolean("skipRedirectFromBackend") ?? false,
    file,
    span: document.node.span,
  };
}

function readFrontend(reader: Reader, at: Field, namespace: string): RedirectSpec["frontend"] | null {
  const fields = reader.fields(at, ["addressMatcher", "serviceMatcher"]);
  const address = fields?.get("addressMatcher");
  const service = fields?.get("serviceMatcher");
  if (!fields || (address && service) || (!address && !service)) {
    reader.report("SKEP6011", at, "needs one of addressMatcher and serviceMatcher");
    return null;
  }
  return address
    ? readAddressMatcher(reader, address)
    : service
      ? readServiceMatcher(reader, service, namespace)
      : null;
}

function readAddressMatcher(reader: Reader, at: Field): RedirectSpec["frontend"] | null {
  const fields = reader.fields(at, ["ip", "toPorts"]);
  const ip = fields?.require("ip");
  const ports = fields?.require("toPorts");
  const address = ip && readAddress(reader, ip);
  return fields && address && ports ? { kind: "address", address, ports: readPorts(reader, fields) } : null;
}

function readServiceMatcher(reader: Reader, at: Field, namespace: string): RedirectSpec["frontend"] | null {
  const fields = reader.fields(at, ["serviceName", "namespace", "toPorts"]);
  const name = fields?.require("serviceName");
  const service = name && reader.string(name);
  const place = fields?.get("namespace");
  if (place && reader.string(place) !== namespace)
    reader.report("SKEP6043", place, `a policy redirects services of its own namespace, ${namespace}`);
  return fields && service ? { kind: "service", service, ports: readPorts(reader, fields) } : null;
}

function readBackend(reader: Reader, at: Field): Pick<RedirectSpec, "selector" | "ports"> | null {
  const fields = reader.fields(at, ["localEndpointSelector", "toPorts"]);
  const selectorField = fields?.require("localEndpointSelector");
  const ports = fields?.require("toPorts");
  const selector = selectorField && parseSelector(reader, selectorField, "any");
  if (!fields || !selector || !ports) return null;
  const read = readPorts(reader, fields);
  if (read.length === 0) reader.report("SKEP6004", ports, "needs at least one port");
  return { selector: plainSelector(selector), ports: read };
}

function readPorts(reader: Reader, fields: Fields): RedirectPort[] {
  return (fields.list("toPorts") ?? []).flatMap((at) => {
    const port = reader.fields(at, ["port", "protocol", "name"]);
    const number = port?.require("port");
    const text = number && reader.string(number);
    const protocol = readProtocol(reader, port?.require("protocol") ?? null) ?? PROTOCOLS.TCP;
    if (!port || !number || text === null || text === undefined) return [];
    const value = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (value < 1 || value > 65_535) reader.report("SKEP6017", number, `${JSON.stringify(text)} is no port`);
    const name = port.get("name");
    return [{ name: ((name && readPortName(reader, name)) ?? "").toLowerCase(), protocol, port: value }];
  });
}

/** Of several ports the names say which goes to which. */
function checkNames(
  reader: Reader,
  at: Field,
  ports: { readonly frontend: readonly RedirectPort[]; readonly backend: readonly RedirectPort[] },
): void {
  const unnamed = [...ports.frontend, ...ports.backend].some((port) => port.name === "");
  if (unnamed) reader.report("SKEP6017", at, "several ports need a name each, the same in front and behind");
  else if (!ports.frontend.every((port) => ports.backend.some((other) => other.name === port.name)))
    reader.report("SKEP6017", at, "each named port in front needs one of that name behind");
}
