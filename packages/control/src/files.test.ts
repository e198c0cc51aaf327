// Documents that change places between files in one step.
import { describe, expect, it } from "vitest";
import { formatAddress, parsePrefix } from "@skep/net";
import { World } from "./world.ts";

const prefix = (text: string): NonNullable<ReturnType<typeof parsePrefix>> => {
  const found = parsePrefix(text);
  if (!found) throw new Error(text);
  return found;
};
const policy = (name: string): string =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: ${name}, namespace: default}\nspec: {endpointSelector: {}, ingress: [{}]}\n---\n`;
const service = (name: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {selector: {app: x}, ports: [{port: 80}]}\n---\n`;

describe("files that wait for each other", () => {
  const world = (files: Readonly<Record<string, string>>): World => {
    const made = new World({ podCidr: prefix("10.0.0.0/24"), serviceCidr: prefix("10.96.0.0/24") });
    for (const [file, text] of Object.entries(files)) expect(made.applyFile(file, text).changed).toBe(true);
    return made;
  };
  const inForce = (made: World): string[] =>
    made
      .documents()
      .map(({ name, span }) => `${name} ${span.file}`)
      .sort();

  it("are taken over together, in a ring of any length", () => {
    const made = world({ a: policy("one"), b: policy("two"), c: policy("three"), d: policy("four") });
    const next = [
      ["a", policy("two")],
      ["b", policy("three") + policy("five")],
      ["c", policy("one")],
    ] as const;
    for (const [file, text] of next) expect(made.applyFile(file, text).changed).toBe(false);
    expect([...made.applyTogether(next).keys()]).toEqual(["a", "b", "c"]);
    expect(inForce(made)).toEqual(["five b", "four d", "one c", "three b", "two a"]);
    expect(made.diagnostics()).toEqual([]);
    // Each is where it says: it can go on from there.
    expect(made.applyFile("d", policy("one")).changed).toBe(false);
    expect(made.applyFile("c", "").changed).toBe(true);
    expect(made.applyFile("d", policy("one")).changed).toBe(true);
  });

  it.each([
    ["wants what another file keeps", policy("one") + policy("three")],
    ["has an error", `${policy("one")}kind: [`],
    ["wants what another of them wants too", policy("two")],
  ])("stay as they are where one of them %s", (_, text) => {
    const made = world({ a: policy("one"), b: policy("two"), c: policy("three") });
    const together = made.applyTogether([
      ["a", policy("two")],
      ["b", text],
    ]);
    expect([...together.keys()]).toEqual([]);
    expect(inForce(made)).toEqual(["one a", "three c", "two b"]);
  });

  it("of services leave them the addresses that they have", () => {
    const made = world({ a: service("one"), b: service("two") });
    const given = (): string[] =>
      made
        .services()
        .map((row) => `${row.namespace}/${row.name} ${formatAddress(row.address)}`)
        .sort();
    const before = given();
    expect(before).toHaveLength(2);
    const swapped = [
      ["a", service("two")],
      ["b", service("one")],
    ] as const;
    expect(made.applyTogether(swapped).size).toBe(2);
    expect(given()).toEqual(before);
  });
});
