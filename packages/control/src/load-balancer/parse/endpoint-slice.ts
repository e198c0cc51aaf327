/**
 * @module
 * Kubernetes' `EndpointSlice` objects (discovery.k8s.io/v1). Machines write them: fields that are not known are left out.
 */
import { type Field, type ForeignDocument, parseMetadata, type Reader } from "@skep/policy";
import type { EndpointSliceSpec, SliceEndpoint, SlicePort } from "../spec.ts";
import { documentParser, documentRoot, looseFields, readAddresses, readProtocol } from "./common.ts";

const SERVICE_LABEL = "kubernetes.io/service-name";

export const parseEndpointSlice = documentParser(readSlice);

function readSlice(reader: Reader, document: ForeignDocument, file: string): EndpointSliceSpec | null {
  const root = documentRoot(document);
  const object = looseFields(reader, root);
  const metadata = object && parseMetadata(reader, object, "default");
  if (!object || !metadata) return null;
  const service = metadata.labels[SERVICE_LABEL] ?? "";
  if (service === "")
    reader.warn("SKEP6004", root, `the label ${SERVICE_LABEL} is missing: the slice belongs to no service`);
  const type = object.require("addressType");
  const kind = type && reader.oneOf(type, ["IPv4", "IPv6", "FQDN"]);
  if (type && kind === "FQDN") reader.warn("SKEP6037", type, "names are no backends: only addresses are");
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    service,
    endpoints: kind === "FQDN" ? [] : (object.list("endpoints") ?? []).flatMap((each) => readEndpoint(reader, each)),
    ports: (object.list("ports") ?? []).flatMap((each) => readPort(reader, each)),
    file,
    span: document.node.span,
  };
}

function readEndpoint(reader: Reader, at: Field): SliceEndpoint[] {
  const fields = looseFields(reader, at);
  if (!fields) return [];
  const conditions = looseFields(reader, fields.get("conditions"));
  // What is not said counts as ready, as serving where it is ready, and as not terminating (discovery/v1).
  const ready = conditions?.boolean("ready") ?? true;
  return [
    {
      addresses: readAddresses(reader, fields.list("addresses")),
      ready,
      serving: conditions?.boolean("serving") ?? ready,
      terminating: conditions?.boolean("terminating") ?? false,
      node: fields.string("nodeName") ?? "",
      zone: fields.string("zone") ?? "",
      forZones: readZones(reader, looseFields(reader, fields.get("hints"))?.list("forZones") ?? null),
    },
  ];
}

function readZones(reader: Reader, zones: readonly Field[] | null): string[] | null {
  return zones && zones.flatMap((each) => looseFields(reader, each)?.string("name") ?? []);
}

function readPort(reader: Reader, at: Field): SlicePort[] {
  const fields = looseFields(reader, at);
  const number = fields?.get("port");
  // A port without a number stands for all ports, which no service has.
  if (!fields || !number) return [];
  const port = reader.integer(number, 1, 65_535);
  const protocol = readProtocol(reader, fields.get("protocol"));
  return port === null || protocol === null ? [] : [{ name: fields.string("name") ?? "", protocol, port }];
}
