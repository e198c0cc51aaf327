/**
 * @module
 * What the running kernel can do, found out by trying. Answers are remembered for the life of the process; an attempt that tells
 * nothing throws `InconclusiveError` and is not. All of them throw `MissingCapabilityError` without the privilege to try.
 */
import { mapFlags } from "@skep/isa";
import { needCapabilities } from "../capabilities.ts";
import { loadCollection } from "../load.ts";
import { NotSupportedError } from "../not-supported.ts";
import { btfFeatures, hasFeature } from "./basic.ts";
import { probeHelper } from "./helpers.ts";
import { probeInstructions, type InstructionFeature } from "./instructions.ts";
import { probeKfunc } from "./kfuncs.ts";
import { probeLinkType } from "./links.ts";
import { hasMapType, tryMapType } from "./map-types.ts";
import { probeProgramType, replacingObject } from "./program-types.ts";
import { linkTypesSince, mapTypesSince, programTypesSince } from "./since.ts";

export { InconclusiveError } from "./run.ts";
export type { InstructionFeature } from "./instructions.ts";
export { linkTypesSince, mapTypesSince, programTypesSince } from "./since.ts";

const answers = new Map<string, boolean>();

function remembered(question: string, ask: () => boolean): boolean {
  let answer = answers.get(question);
  if (answer === undefined) {
    answer = ask();
    answers.set(question, answer);
  }
  return answer;
}

/** Names are the kernel's own without prefix, as in specs. */
export const features = {
  mapType(name: string): boolean {
    needCapabilities(`probing map type ${name}`, "CAP_BPF");
    return hasMapType(name);
  },

  /** Whether maps of the type (default array) can have the flag: `mmapable`, `inner_map`, `no_prealloc`, ... */
  mapFlag(flag: keyof typeof mapFlags, type = "array"): boolean {
    needCapabilities(`probing map flag ${flag}`, "CAP_BPF");
    return remembered(`map flag ${flag} ${type}`, () => tryMapType(type, mapFlags[flag]) === 0);
  },

  programType(name: string, attachType?: string): boolean {
    return remembered(`program ${name} ${attachType ?? ""}`, () =>
      name === "ext" ? probeReplacement() : probeProgramType(name, attachType),
    );
  },

  /** With or without `bpf_`. */
  helper(programType: string, name: string): boolean {
    return remembered(`helper ${programType} ${name}`, () => probeHelper(programType, name));
  },

  kfunc(name: string, programType?: string): boolean {
    return remembered(`kfunc ${name} ${programType ?? ""}`, () => probeKfunc(name, programType));
  },

  linkType(name: string): boolean {
    return remembered(`link ${name}`, () => probeLinkType(name));
  },

  instructions(feature: InstructionFeature): boolean {
    return remembered(`instructions ${feature}`, () => probeInstructions(feature));
  },

  /** Kinds of types that BPF_BTF_LOAD takes. */
  btf: btfFeatures,

  /** Cookies of probes (5.15). */
  attachCookie: (): boolean => hasFeature("attach_cookie"),
} as const;

/** A program that replaces a function of another, loaded but not attached. */
function probeReplacement(): boolean {
  const { target, replacement } = replacingObject();
  const base = loadCollection(target);
  try {
    const main = base.programs["main"];
    if (!main) return false;
    loadCollection(replacement, { targets: { replaced: main } }).close();
    return true;
  } catch (error) {
    if (error instanceof NotSupportedError) return false;
    throw error;
  } finally {
    base.close();
  }
}

/** The error for something that a probe denies, with the release that brought it. */
export function notSupported(kind: "map" | "program" | "link", name: string, cause?: unknown): NotSupportedError {
  const since = { map: mapTypesSince, program: programTypesSince, link: linkTypesSince }[kind][name] ?? null;
  const what = kind === "link" ? `${name} links` : `${kind} type ${name}`;
  return new NotSupportedError(what, { minKernel: since, cause });
}
