import { existsSync, readFileSync } from "node:fs";
import { create, createRegistry, fromBinary, fromJson, toBinary, toJson } from "@bufbuild/protobuf";
import type { DescMessage, JsonValue, Message } from "@bufbuild/protobuf";
import { file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { flow, observer, peer, relay } from "../src/index.ts";

const golden = new URL("../../../../shared/data/hubble/golden.jsonl", import.meta.url);
const present = existsSync(golden);
if (!present) console.warn("skipped: no golden messages of Hubble's API in ../shared/data/hubble");

interface Golden {
  readonly name: string;
  readonly message: string;
  readonly json: JsonValue;
  readonly bytes: string;
}

const registry = createRegistry(
  flow.file_flow_flow,
  observer.file_observer_observer,
  peer.file_peer_peer,
  relay.file_relay_relay,
  file_google_protobuf_wrappers,
);

function readGolden(): Golden[] {
  return readFileSync(golden, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Golden);
}

/** Fields in ascending number, but those of a oneof last: the order in which Go's library writes a message. */
function encode(schema: DescMessage, message: Message): string {
  const rest: Message = { ...message };
  const chosen = create(schema);
  for (const { localName } of schema.oneofs) {
    Object.assign(chosen, { [localName]: Reflect.get(message, localName) as unknown });
    Object.assign(rest, { [localName]: { case: undefined } });
  }
  return Buffer.concat([toBinary(schema, rest), toBinary(schema, chosen)]).toString("base64");
}

describe.skipIf(!present)("Hubble's messages against those of Cilium's own code", () => {
  const cases = present ? readGolden() : [];

  it("has all of them", () => {
    expect(cases.length).toBe(243);
  });

  it.each(cases)("$name", ({ message, json, bytes }) => {
    const schema = registry.getMessage(message);
    if (schema === undefined) throw new Error(`no message ${message}`);
    const decoded = fromBinary(schema, Buffer.from(bytes, "base64"));
    expect(decoded.$unknown ?? []).toEqual([]);
    expect(toJson(schema, decoded, { registry })).toEqual(json);
    const read = fromJson(schema, json, { registry });
    expect(encode(schema, read)).toBe(bytes);
    expect(encode(schema, decoded)).toBe(bytes);
  });
});

describe("field order", () => {
  it("is that of printed JSON: declaration, not number", () => {
    const names = flow.FlowSchema.fields.map((field) => field.name);
    expect(names.indexOf("uuid")).toBe(1);
    expect(names.indexOf("Summary")).toBeLessThan(names.indexOf("egress_allowed_by"));
  });
});
