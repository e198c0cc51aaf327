import { usageError } from "./errors.ts";

/** `key=value`, several after commas too; a key alone has the value "". */
export function parseLabels(texts: readonly string[]): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const text of texts.flatMap((each) => each.split(","))) {
    const [, key = "", value = ""] = /^([^=]+)(?:=(.*))?$/.exec(text) ?? [];
    if (key === "") throw usageError(`"${text}" is not a label: write it as key=value`);
    labels[key] = value;
  }
  return labels;
}
