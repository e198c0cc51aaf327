import { flow } from "@skep/api";
import { describe, expect, it } from "vitest";
import { compileFilters } from "@skep/flows";
import { chipFields } from "../src/model/chip-fields.ts";
import { suggestChips } from "../src/model/chip-input.ts";
import { type Chip, chipProblem, filtersOf, formatChip, parseChip } from "../src/model/chips.ts";
import { row } from "./rows.ts";

const chip = (text: string): Chip => {
  const found = parseChip(text);
  if (!found) throw new Error(`${text} is no chip`);
  return found;
};

const matches = (texts: readonly string[], message: flow.Flow): boolean => {
  const { allow, deny } = filtersOf(texts.map(chip));
  return compileFilters(allow, deny)(message);
};

describe("chips", () => {
  it("stand in the address as they are read from it", () => {
    for (const text of ["verdict=DROPPED", "!pod=default/web", "label=app=web,tier in (a, b)", "http-header=x-id:7"])
      expect(formatChip(chip(text))).toBe(text);
    expect(parseChip("verdict:DROPPED")).toEqual({ field: "verdict", value: "DROPPED", not: false });
    for (const text of ["", "verdict", "verdict=", "nonsense=1", "=x"]) expect(parseChip(text)).toBeNull();
  });

  it("are every filter that Hubble has", () => {
    const sample: Readonly<Record<string, string>> = { "trace-id": "4bf92f", uuid: "u-1", "tcp-flags": "SYN,ACK" };
    const { allow } = filtersOf(
      chipFields.map(({ name, values, example }) => chip(`${name}=${sample[name] ?? values[0] ?? example}`)),
    );
    const [filter] = allow;
    const lists = flow.FlowFilterSchema.fields.filter(({ fieldKind }) => fieldKind === "list");
    const empty = lists.filter(({ localName }) => {
      const list = filter?.[localName as keyof flow.FlowFilter] as readonly unknown[];
      // Either end's are in the other filter of the pair too, `from-` and `to-` in both.
      return list.length === 0;
    });
    expect(empty.map(({ localName }) => localName)).toEqual([]);
    expect(filter?.experimental?.celExpression).toHaveLength(1);
  });

  it("choose flows as the server's filters do", () => {
    const message = row({ from: "client-1", to: "web-1", dropped: true }).flow;
    expect(matches(["verdict=dropped"], message)).toBe(true);
    expect(matches(["verdict=FORWARDED"], message)).toBe(false);
    expect(matches(["verdict=FORWARDED", "verdict=DROPPED"], message)).toBe(true);
    expect(matches(["pod=default/web-1"], message)).toBe(true);
    expect(matches(["pod=web-1"], message)).toBe(true);
    expect(matches(["from-pod=default/web-1"], message)).toBe(false);
    expect(matches(["to-pod=default/web-1", "port=80"], message)).toBe(true);
    expect(matches(["namespace=default"], message)).toBe(true);
    expect(matches(["namespace=other"], message)).toBe(false);
    expect(matches(["drop-reason=133"], message)).toBe(true);
    expect(matches(["drop-reason=policy_denied"], message)).toBe(true);
    expect(matches(["reply=yes"], message)).toBe(false);
    expect(matches(["tcp-flags=SYN"], message)).toBe(true);
    expect(matches(["ip=10.0.0.0/24"], message)).toBe(true);
    expect(matches(["to-identity=1002"], message)).toBe(true);
    expect(matches(["cel=_flow.source.pod_name == 'client-1'"], message)).toBe(true);
  });

  it("leave out each for itself", () => {
    const message = row({ port: 80 }).flow;
    expect(matches(["!port=80"], message)).toBe(false);
    // Not only what is both.
    expect(matches(["!port=80", "!pod=nobody"], message)).toBe(false);
    expect(matches(["!pod=nobody"], message)).toBe(true);
    expect(matches(["pod=web-1", "!verdict=DROPPED"], message)).toBe(true);
  });

  it("say what is wrong with a value", () => {
    expect(chipProblem(chip("verdict=MAYBE"))).toMatch(/MAYBE.*FORWARDED/);
    expect(chipProblem(chip("port=99999"))).toMatch(/no port/);
    expect(chipProblem(chip("ip=web"))).toMatch(/no address/);
    expect(chipProblem(chip("identity=worlds"))).toMatch(/no identity/);
    expect(chipProblem(chip("http-path=("))).toMatch(/regular expression/);
    expect(chipProblem(chip("tcp-flags=SYN,XYZ"))).toMatch(/XYZ/);
    expect(chipProblem(chip("verdict=dropped"))).toBeNull();
  });

  it("are offered as they are written", () => {
    const known = new Map([["pod", ["default/web-1", "default/client-1"]]]);
    const texts = (text: string): string[] => suggestChips(text, known).map((each) => each.text);
    expect(texts("verd")).toEqual(["verdict="]);
    expect(texts("verdict=dr")).toEqual(["verdict=DROPPED"]);
    expect(texts("!from-pod=web")).toEqual(["!from-pod=default/web-1"]);
    expect(texts("web")).toContain("pod=default/web-1");
    expect(texts("nonsense=")).toEqual([]);
  });
});
