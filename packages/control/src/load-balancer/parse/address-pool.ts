/**
 * @module
 * CiliumLoadBalancerIPPool (cilium.io/v2, v2alpha1): addresses that services of type LoadBalancer are given.
 */
import { type Address, addressToBigInt, parsePrefix, type Prefix, prefixRange, prefixSize } from "@skep/net";
import {
  type Field,
  type ForeignDocument,
  parseMetadata,
  parseSelector,
  plainSelector,
  type Reader,
} from "@skep/policy";
import type { AddressPoolSpec, AddressRange } from "../spec.ts";
import { documentParser, documentRoot, readAddress, textAt } from "./common.ts";

export const parseAddressPool = documentParser(readPool);

function readPool(reader: Reader, document: ForeignDocument, file: string): AddressPoolSpec | null {
  const object = reader.fields(documentRoot(document), ["apiVersion", "kind", "metadata", "spec", "status"]);
  const metadata = object && parseMetadata(reader, object, "");
  const specField = object?.require("spec");
  const spec = specField && reader.fields(specField, ["blocks", "serviceSelector", "disabled", "allowFirstLastIPs"]);
  if (!metadata || !spec || !spec.require("blocks")) return null;
  const selectorField = spec.get("serviceSelector");
  const selector = selectorField && parseSelector(reader, selectorField, "any");
  const ends = spec.get("allowFirstLastIPs");
  const withEnds = !ends || reader.oneOf(ends, ["Yes", "No"]) !== "No";
  return {
    name: metadata.name,
    created: textAt(document.node, "metadata", "creationTimestamp"),
    ranges: (spec.list("blocks") ?? []).flatMap((at) => readBlock(reader, at, withEnds) ?? []),
    selector: selector && plainSelector(selector),
    disabled: spec.boolean("disabled") ?? false,
    file,
    span: document.node.span,
  };
}

function readBlock(reader: Reader, at: Field, withEnds: boolean): AddressRange | null {
  const fields = reader.fields(at, ["cidr", "start", "stop"]);
  const [cidr, start, stop] = ["cidr", "start", "stop"].map((name) => fields?.get(name) ?? null);
  if (!fields) return null;
  if (cidr ? start || stop : !start) {
    reader.report("SKEP6011", at, "needs one of cidr and start", "write cidr, or start and stop");
    return null;
  }
  if (cidr) return readPrefix(reader, cidr, withEnds);
  const first = start ? readAddress(reader, start) : null;
  const last = stop ? readAddress(reader, stop) : first;
  if (!first || !last) return null;
  const range = rangeOf(first, last);
  if (first.family === last.family && range.first <= range.last) return range;
  reader.report("SKEP6018", at, "a block goes from start to stop, of one family");
  return null;
}

function readPrefix(reader: Reader, at: Field, withEnds: boolean): AddressRange | null {
  const text = reader.string(at);
  const prefix: Prefix | null = text === null ? null : parsePrefix(text);
  if (!prefix) {
    if (text !== null)
      reader.report("SKEP6013", at, `${JSON.stringify(text)} is no prefix`, "write it as 192.0.2.0/24");
    return null;
  }
  const { first, last } = prefixRange(prefix);
  const range = rangeOf(first, last);
  // Nothing would be left of one or two addresses (Cilium leaves them too).
  if (withEnds || prefixSize(prefix) <= 2n) return range;
  return { ...range, first: range.first + 1n, last: range.last - 1n };
}

function rangeOf(first: Address, last: Address): AddressRange {
  return { family: first.family, first: addressToBigInt(first), last: addressToBigInt(last) };
}
