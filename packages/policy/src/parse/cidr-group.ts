import type { CidrGroup, PolicyDocument } from "../rule.ts";
import type { Reader } from "../source/reader.ts";
import { parseMetadata, type ObjectHead } from "./metadata.ts";
import { parseNetwork } from "./peers.ts";

/** CiliumCIDRGroup: networks under a name. */
export function parseCidrGroup(
  reader: Reader,
  head: ObjectHead,
): (Pick<PolicyDocument, "kind" | "namespace" | "name" | "rules"> & { readonly cidrGroup: CidrGroup }) | null {
  const fields = reader.fields(head.root, ["apiVersion", "kind", "metadata", "spec", "status"]);
  const metadata = fields && parseMetadata(reader, fields, null);
  const specField = fields?.require("spec");
  const spec = specField && reader.fields(specField, ["externalCIDRs"]);
  if (!metadata || !spec) return null;
  spec.require("externalCIDRs");
  const prefixes = (spec.list("externalCIDRs") ?? []).flatMap((item) => parseNetwork(reader, item, true) ?? []);
  const { name, labels } = metadata;
  return { kind: "CiliumCIDRGroup", namespace: "", name, rules: [], cidrGroup: { name, labels, prefixes } };
}
