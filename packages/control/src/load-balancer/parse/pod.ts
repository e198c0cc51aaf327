/**
 * @module
 * What of Kubernetes' `Pod` objects matters to load balancing: addresses, ports, readiness.
 */
import { type Field, type Fields, type ForeignDocument, parseMetadata, type Reader } from "@skep/policy";
import type { PodPort, PodSpec } from "../spec.ts";
import {
  documentParser,
  documentRoot,
  looseFields,
  readAddress,
  readAddresses,
  readProtocol,
  textAt,
} from "./common.ts";

export const parsePod = documentParser(readPod);

function readPod(reader: Reader, document: ForeignDocument, file: string): PodSpec | null {
  const object = looseFields(reader, documentRoot(document));
  const metadata = object && parseMetadata(reader, object, "default");
  const spec = object && looseFields(reader, object.require("spec"));
  if (!object || !metadata || !spec) return null;
  const status = looseFields(reader, object.get("status"));
  const phase = status?.string("phase") ?? "Running";
  const containers = [...(spec.list("initContainers") ?? []), ...(spec.list("containers") ?? [])];
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: textAt(document.node, "metadata", "uid"),
    labels: metadata.labels,
    created: textAt(document.node, "metadata", "creationTimestamp"),
    addresses: status ? readPodIps(reader, status) : [],
    ports: containers.flatMap((each) => readPorts(reader, each)),
    node: spec.string("nodeName") ?? "",
    running: phase !== "Succeeded" && phase !== "Failed",
    ready: isReady(reader, status),
    hostNetwork: spec.boolean("hostNetwork") ?? false,
    file,
    span: document.node.span,
  };
}

function readPodIps(reader: Reader, status: Fields): PodSpec["addresses"] {
  const many = (status.list("podIPs") ?? []).flatMap((each) => looseFields(reader, each)?.get("ip") ?? []);
  const one = status.get("podIP");
  return readAddresses(reader, many.length > 0 ? many : one ? [one] : []);
}

function isReady(reader: Reader, status: Fields | null): boolean {
  return (status?.list("conditions") ?? []).some((each) => {
    const condition = looseFields(reader, each);
    return condition?.string("type") === "Ready" && condition.string("status") === "True";
  });
}

function readPorts(reader: Reader, container: Field): PodPort[] {
  return (looseFields(reader, container)?.list("ports") ?? []).flatMap((at) => {
    const fields = looseFields(reader, at);
    const number = fields?.require("containerPort");
    const port = number && reader.integer(number, 1, 65_535);
    const protocol = readProtocol(reader, fields?.get("protocol") ?? null);
    if (!fields || !port || protocol === null) return [];
    const host = fields.get("hostPort");
    const ip = fields.get("hostIP");
    return [
      {
        name: fields.string("name") ?? "",
        protocol,
        port,
        hostPort: (host && reader.integer(host, 0, 65_535)) ?? 0,
        hostIp: ip && readAddress(reader, ip),
      },
    ];
  });
}
