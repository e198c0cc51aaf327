/**
 * @module
 * Kubernetes label selectors over labels that carry a source: `app=web`, `k8s:app in (a, b)`, `!reserved:host`.
 */
import { FilterError } from "./error.ts";

interface Label {
  readonly source: string;
  readonly key: string;
  readonly value: string;
}

type Requirement = (labels: readonly Label[]) => boolean;

/** `k8s:app=web`; no source means any. */
export function parseLabel(text: string): Label {
  const equals = text.indexOf("=");
  const name = equals === -1 ? text : text.slice(0, equals);
  const colon = name.indexOf(":");
  return {
    source: colon === -1 ? "any" : name.slice(0, colon),
    key: colon === -1 ? name : name.slice(colon + 1),
    value: equals === -1 ? "" : text.slice(equals + 1),
  };
}

function lookup(labels: readonly Label[], name: Label): Label | undefined {
  return labels.find((label) => label.key === name.key && (name.source === "any" || label.source === name.source));
}

/** Splits at commas that are not in parentheses. */
function splitRequirements(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === "(") depth += 1;
    else if (text[at] === ")") depth -= 1;
    else if (text[at] === "," && depth === 0) {
      parts.push(text.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(text.slice(start));
  return parts.map((part) => part.trim());
}

const setPattern = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const comparePattern = /^([^\s=!<>]+)\s*(==|!=|=|<|>)\s*(\S*)$/;
const existsPattern = /^(!?)\s*([^\s=!<>()]+)$/;

function parseRequirement(text: string): Requirement {
  const set = setPattern.exec(text);
  if (set) {
    const [, name = "", operator, list = ""] = set;
    const values = list.split(",").map((value) => value.trim());
    const wanted = parseLabel(name);
    return (labels) => {
      const found = lookup(labels, wanted);
      return operator === "in"
        ? found !== undefined && values.includes(found.value)
        : !found || !values.includes(found.value);
    };
  }
  const compare = comparePattern.exec(text);
  if (compare) {
    const [, name = "", operator = "=", value = ""] = compare;
    return comparison(parseLabel(name), operator, value);
  }
  const exists = existsPattern.exec(text);
  if (!exists) throw new FilterError(`"${text}" is not a label selector, such as app=web, app in (a, b) or !app`);
  const [, not, name = ""] = exists;
  const wanted = parseLabel(name);
  return (labels) => (lookup(labels, wanted) !== undefined) !== (not === "!");
}

function comparison(wanted: Label, operator: string, value: string): Requirement {
  if (operator === "!=") return (labels) => lookup(labels, wanted)?.value !== value;
  if (operator === "=" || operator === "==") return (labels) => lookup(labels, wanted)?.value === value;
  const limit = Number(value);
  if (value === "" || !Number.isInteger(limit)) throw new FilterError(`"${value}" is not a number`);
  return (labels) => {
    const number = Number(lookup(labels, wanted)?.value ?? "NaN");
    return operator === "<" ? number < limit : number > limit;
  };
}

/** All requirements of `text` must hold. Throws FilterError. */
export function compileSelector(text: string): (labels: readonly string[]) => boolean {
  const requirements = splitRequirements(text).map(parseRequirement);
  return (labels) => {
    const parsed = labels.map(parseLabel);
    return requirements.every((requirement) => requirement(parsed));
  };
}
