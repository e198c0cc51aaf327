import { linkProgram, ObjectError, type ObjectSpec } from "@skep/object";
import type { Difference, Outcome } from "./outcome.ts";

export interface Compared {
  readonly name: string;
  /** Null where the object cannot be read. */
  readonly spec: ObjectSpec | null;
  readonly libbpf: Outcome;
  readonly skep: Outcome;
  readonly differences: readonly Difference[];
}

export interface Reason {
  readonly title: string;
  /** Why it is so, and why it stays so. */
  readonly text: string;
  explains(difference: Difference, compared: Compared): boolean;
}

const loads = (difference: Difference) => /^(load|single|program|map)\b/.test(difference.what);
const isLibraryRefusal = (fact: string | null | undefined) =>
  fact?.endsWith(" library") === true && !fact.startsWith("0");
const refusedWhole = ({ libbpf }: Compared) => isLibraryRefusal(libbpf.facts.get("load"));

/** Every difference that stands, with its reason. */
export const reasons: readonly Reason[] = [
  {
    title: "Symbols of programs that are not loaded",
    text:
      "libbpf resolves every kernel symbol that the object declares before it loads anything, and gives up where one is missing. " +
      "Skep resolves the symbols of the programs that it is asked to load: a missing one keeps only the programs that use it from being loaded.",
    explains: (difference, compared) =>
      loads(difference) &&
      /extern .*(not found|not resolved|incompatible)/.test(compared.libbpf.said) &&
      (isLibraryRefusal(difference.libbpf) || (difference.libbpf === null && refusedWhole(compared))),
  },
  {
    title: "Objects that are a half of one",
    text:
      "libbpf refuses to open an object that needs variables, functions or maps of another one. Skep opens it, so that it can be linked; " +
      "loading what needs the other half is refused with a typed error.",
    explains: ({ libbpf, skep, what }, compared) =>
      /failed to find BTF for extern|unrecognized extern section/.test(compared.libbpf.said) &&
      (what === "open" ? skep === "0" && libbpf !== "0" : libbpf === null && !isUnlinkedProgram(what, skep)),
  },
  {
    title: "Ring buffers without a size",
    text:
      "The test sets the size of the ring before it loads the object. Without that, libbpf asks the kernel for a ring of no bytes and is refused; " +
      "Skep makes one of 256 KiB.",
    explains: (difference, { libbpf, spec }) => {
      const ring = /map '(.*)': failed to create/.exec(libbpf.said)?.[1];
      const map = ring === undefined ? undefined : spec?.maps[ring];
      const isRing = map?.type === "ringbuf" || map?.type === "user_ringbuf";
      return isRing && map.maxEntries === 0 && loads(difference);
    },
  },
  {
    title: "Places in program arrays for programs that are not loaded",
    text:
      "When one program is loaded alone, libbpf fails to put the others, which are not loaded, into the object's program arrays. " +
      "Skep leaves their places empty.",
    explains: ({ what, libbpf, skep }, compared) =>
      what.startsWith("single ") &&
      libbpf === "9 library" &&
      !isLibraryRefusal(skep) &&
      /failed to initialize slot/.test(compared.libbpf.said),
  },
  {
    title: "LINUX_HAS_SYSCALL_WRAPPER",
    text:
      "libbpf finds out whether the kernel wraps system calls by making a kprobe, which this kernel does not have, and concludes that it does not. " +
      "Skep looks for the wrapper among the kernel's symbols, and finds it; what the verifier then removes as dead code differs.",
    explains: ({ what, libbpf, skep }, { spec }) => {
      const { variables } = spec?.maps[".kconfig"]?.data ?? { variables: [] };
      if (!variables.some(({ name }) => name === "LINUX_HAS_SYSCALL_WRAPPER")) return false;
      if (what === "map .kconfig") return true;
      return what.startsWith("program ") && tagOf(libbpf) === tagOf(skep);
    },
  },
  {
    title: "Calls of kernel functions that are not there",
    text:
      "A call of a weak kernel function that is missing, which the program does not reach, is replaced by one that the verifier would refuse. " +
      "The number in it is another one, and so is the tag, which is a hash of the instructions.",
    explains: ({ what, libbpf, skep }, { spec }) => {
      const name = /^program (.*)$/.exec(what)?.[1];
      if (name === undefined || spec === null || withoutTag(libbpf) !== withoutTag(skep)) return false;
      return linkProgram(spec, name).references.some((each) => each.kind === "kfunc" && each.weak);
    },
  },
];

function isUnlinkedProgram(what: string, skep: string | null): boolean {
  return what.startsWith("single ") && skep?.startsWith("0") === true;
}

function tagOf(fact: string | null): string | undefined {
  return fact?.split(" ")[1];
}

function withoutTag(fact: string | null): string {
  return (fact ?? "").split(" ").toSpliced(1, 1).join(" ");
}

/** Why they differ; null where nothing explains it. */
export function reasonOf(difference: Difference, compared: Compared): Reason | null {
  const safe = (reason: Reason) => {
    try {
      return reason.explains(difference, compared);
    } catch (error) {
      if (error instanceof ObjectError) return false;
      throw error;
    }
  };
  return reasons.find(safe) ?? null;
}
