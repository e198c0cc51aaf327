import { fromJson, type JsonValue } from "@bufbuild/protobuf";
import { createRegistry } from "@bufbuild/protobuf";
import { file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { observer } from "@skep/api";
import { createPrinter, type OutputFormat, type PrintOptions } from "../src/print/printer.ts";
import { conformanceLines, conformanceText } from "./support.ts";

interface Line {
  readonly name: string;
  readonly format: string;
  readonly output: string;
  readonly response: JsonValue;
}

const lines = conformanceLines<Line>("observe-output.jsonl");

const flags: Readonly<Record<string, Partial<PrintOptions>>> = {
  "--print-node-name": { nodeName: true },
  "--print-policy-names": { policyNames: true },
  "--numeric": { numeric: true },
  "--ip-translation=false": { numeric: true },
  "--time-format RFC3339Nano": { timeFormat: "RFC3339Nano" },
};

function optionsOf(text: string): PrintOptions {
  const [format, ...rest] = text.split(/ (?=--)/);
  return Object.assign({ format: format as OutputFormat }, ...rest.map((flag) => flags[flag])) as PrintOptions;
}

const registry = createRegistry(file_google_protobuf_wrappers);

describe.skipIf(lines === null)("what hubble observe printed", () => {
  it("has all of it", () => {
    expect(lines?.length).toBe(320);
  });

  it.each(lines ?? [])("$format of $name", ({ format, output, response }) => {
    const printer = createPrinter(optionsOf(format));
    const message = fromJson(observer.GetFlowsResponseSchema, response, { registry });
    expect(printer.print(message).out + printer.flush()).toBe(output);
  });
});

/** Whole runs over the 40 flows: widths over all rows, separators. */
function wholeRuns(): { readonly name: string; readonly options: PrintOptions; readonly output: string }[] {
  const text = conformanceText("observe-output.txt");
  if (text === null) return [];
  const wanted = /^-o (\S+)((?: --(?!all|last|first)\S+(?: (?!-)\S+)?)*) --all$/;
  return text.split(/^===== /m).flatMap((part) => {
    const [, name = "", output = ""] = /^(.*) \(rc 0\)\n([^]*?)\n?$/.exec(part) ?? [];
    const found = wanted.exec(name.trim());
    return found ? [{ name, options: optionsOf(`${found[1]}${found[2]}`), output: output.trimEnd() }] : [];
  });
}

describe.skipIf(lines === null)("one run over all flows", () => {
  const runs = wholeRuns();
  const flows = (lines ?? []).filter((line) => line.format === "json");

  it("has them", () => {
    expect(runs.length).toBeGreaterThanOrEqual(9);
  });

  it.each(runs)("$name", ({ options, output }) => {
    const printer = createPrinter(options);
    const printed = flows.map(({ response }) => {
      const message = fromJson(observer.GetFlowsResponseSchema, response, { registry });
      return printer.print(message).out;
    });
    expect((printed.join("") + printer.flush()).trimEnd()).toBe(output);
  });
});
