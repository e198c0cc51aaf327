import { readFileSync } from "node:fs";
import { ObjectError, readObject, type ObjectSpec } from "@skep/object";
import { run } from "./command.ts";

/** What came of loading one object with one library. */
export interface Outcome {
  /** `open`, `load`, `program NAME`, `map NAME`, `single NAME`: each with what was printed behind it. */
  readonly facts: ReadonlyMap<string, string>;
  /** What the library said of failures. */
  readonly said: string;
}

const FACTS_WITH_NAME = new Set(["program", "map", "single"]);

/** Reads the lines that both loaders print. */
export function parseOutcome(stdout: string, said: string): Outcome {
  const facts = new Map<string, string>();
  for (const line of stdout.split("\n")) {
    const [kind = "", ...fields] = line.split("\t");
    if (kind === "") continue;
    const name = FACTS_WITH_NAME.has(kind) ? ` ${fields.shift()}` : "";
    facts.set(kind + name, fields.join(" "));
  }
  return { facts, said };
}

/** Runs a loader, which may crash or hang: that is a fact too. */
export async function outcomeOf(command: readonly string[], seconds: number): Promise<Outcome> {
  const [program = "", ...args] = command;
  const { status, stdout, stderr } = await run(program, args, { seconds });
  return parseOutcome(status === 0 ? stdout : `${stdout}\nended\t${status}\n`, stderr);
}

/** Without what was loaded alone. */
export function wholeOnly({ facts, said }: Outcome): Outcome {
  return { facts: new Map([...facts].filter(([what]) => !what.startsWith("single "))), said };
}

export interface Difference {
  readonly what: string;
  /** Null where the library did not come to it. */
  readonly libbpf: string | null;
  readonly skep: string | null;
}

/** Where both refuse before the kernel is asked they agree, whatever number they give. */
export function differences(libbpf: Outcome, skep: Outcome): Difference[] {
  const names = new Set([...libbpf.facts.keys(), ...skep.facts.keys()]);
  return [...names].flatMap((what) => {
    const [theirs, ours] = [libbpf.facts.get(what) ?? null, skep.facts.get(what) ?? null];
    return sameFact(what, theirs, ours) ? [] : [{ what, libbpf: theirs, skep: ours }];
  });
}

function sameFact(what: string, theirs: string | null, ours: string | null): boolean {
  if (theirs === ours) return true;
  if (theirs === null || ours === null) return false;
  if (what.startsWith("map ")) return comparable(theirs) === comparable(ours);
  const isRefusal = (text: string) => !text.startsWith("0") && (what === "open" || text.endsWith(" library"));
  const kinds = ["open", "load"];
  return (kinds.includes(what) || what.startsWith("single ")) && isRefusal(theirs) && isRefusal(ours);
}

/** What lies in a map that programs cannot be kept from (neither read-only nor mapped) may be the kernel's own addresses. */
function comparable(fact: string): string {
  const fields = fact.split(" ");
  const isPlain = (Number(fields[4]) & 0x480) !== 0;
  return isPlain ? fact : fields.slice(0, -1).join(" ");
}

/** Null where the object cannot be read. */
export function specOf(file: string): ObjectSpec | null {
  try {
    return readObject(readFileSync(file));
  } catch (error) {
    if (error instanceof ObjectError) return null;
    throw error;
  }
}
