import type { Instruction } from "@skep/isa";
import { emitModule } from "@skep/ir";
import { writeObject } from "@skep/object";
import { describe, expect, test, vi } from "vitest";
import { compile, lowerModule } from "../src/compile.ts";
import { recall } from "../src/recompile.ts";

const LIBRARY = `import { u32 } from "@skep/bpf";

export const LIMIT = 7;

export function clamp(value: u32): u32 {
  if (value > LIMIT) return LIMIT;
  return value;
}
`;

const ENTRY = `import { array, printk, struct, tc, TC, u32 } from "@skep/bpf";
import { clamp } from "./library.bpf.ts";

const Slot = struct("Slot", { value: u32 });
export const license = "GPL";
export const seen = array("seen", { value: Slot, maxEntries: 8 });

export const count = tc("count", (ctx) => {
  const slot = seen.get(clamp(ctx.length));
  if (!slot) return TC.OK;
  printk\`was \${slot.value}  then\`;
  slot.value += 1;
  return TC.OK;
});
`;

type Files = Record<string, string>;

const hostOf = (files: Files) => ({ readFile: (path: string): string | undefined => files[path] });

function filesOf(folder: string, edit: Partial<Record<"entry" | "library", (text: string) => string>> = {}): Files {
  return {
    [`${folder}/entry.bpf.ts`]: edit.entry?.(ENTRY) ?? ENTRY,
    [`${folder}/library.bpf.ts`]: edit.library?.(LIBRARY) ?? LIBRARY,
  };
}

/** The object of a compiler that has compiled nothing before. */
function afresh(entry: string, files: Files): Uint8Array {
  const { module, diagnostics } = lowerModule(entry, hostOf(files));
  if (!module) throw new Error(diagnostics[0]?.message);
  return writeObject(emitModule(module).spec);
}

const UNSEEN: Readonly<Record<string, Parameters<typeof filesOf>[1]>> = {
  nothing: {},
  "a comment": { entry: (text) => text.replace("if (!slot)", "/* none */ if (!slot)") },
  "lines before": { library: (text) => `// one\n\n\n${text}` },
  indentation: { entry: (text) => text.replaceAll("\n  ", "\n\t    ") },
  "lines within": { entry: (text) => text.replaceAll(";\n", ";\n\n// and\n"), library: (text) => `\n${text}` },
};

const SEEN: Readonly<Record<string, Parameters<typeof filesOf>[1]>> = {
  "a constant": { library: (text) => text.replace("7", "6") },
  "a name": { entry: (text) => text.replaceAll("slot", "place") },
  "white space in a template": { entry: (text) => text.replace("}  then", "} then") },
  "what looks like a comment in a template": { entry: (text) => text.replace("}  then", "}  // then") },
  "a line's end before a token": {
    library: (text) => text.replace("if (value > LIMIT) return", "if (value > LIMIT)\n return"),
  },
  "a comment that TypeScript obeys": {
    entry: (text) => text.replace("slot.value +=", "// @ts-ignore\n  slot.value +="),
  },
};

describe("a module that is compiled again", () => {
  for (const [name, edit] of Object.entries(UNSEEN)) {
    test(`is taken from what is known: ${name}`, () => {
      const folder = `/unseen ${name}`;
      const entry = `${folder}/entry.bpf.ts`;
      const before = compile(entry, hostOf(filesOf(folder)));
      expect(before.diagnostics).toEqual([]);
      const files = filesOf(folder, edit);
      const known = recall(entry, hostOf(files), {});
      expect(known?.sources).toEqual(files);
      expect(known?.spec && writeObject(known.spec)).toEqual(afresh(entry, files));
      expect(compile(entry, hostOf(files)).spec).toEqual(known?.spec);
    });
  }

  for (const [name, edit] of Object.entries(SEEN)) {
    test(`is not taken from what is known: ${name}`, () => {
      const folder = `/seen ${name}`;
      const entry = `${folder}/entry.bpf.ts`;
      compile(entry, hostOf(filesOf(folder)));
      const files = filesOf(folder, edit);
      expect(recall(entry, hostOf(files), {})).toBeNull();
      const { spec } = compile(entry, hostOf(files));
      expect(spec && writeObject(spec)).toEqual(afresh(entry, files));
    });
  }

  test("is compiled for what it is compiled for", () => {
    const [entry, files] = ["/options/entry.bpf.ts", filesOf("/options")];
    compile(entry, hostOf(files), { cpu: 3 });
    expect(recall(entry, hostOf(files), {})).not.toBeNull();
    expect(recall(entry, hostOf(files), { cpu: 2 })).toBeNull();
    expect(recall(entry, hostOf(files), { optimize: 0 })).toBeNull();
  });

  test("is compiled anew where a file has come, or gone", () => {
    const [entry, files] = ["/gone/entry.bpf.ts", filesOf("/gone")];
    compile(entry, hostOf(files));
    expect(recall(entry, hostOf({ ...files, "/gone/library.bpf.ts": undefined as unknown as string }), {})).toBeNull();
  });

  test("is compiled anew where a module is another", () => {
    const entry = "/modules/entry.bpf.ts";
    const text = ENTRY.replace("./library.bpf.ts", "library");
    const files: Files = { [entry]: text, "/a.ts": LIBRARY, "/b.ts": LIBRARY.replace("7", "6") };
    const host = (path: string) => ({ ...hostOf(files), resolve: () => path });
    const first = compile(entry, host("/a.ts"));
    expect(first.diagnostics).toEqual([]);
    expect(recall(entry, host("/a.ts"), {})).not.toBeNull();
    expect(recall(entry, host("/b.ts"), {})).toBeNull();
  });

  test("is no other's to change", () => {
    const [entry, files] = ["/changed/entry.bpf.ts", filesOf("/changed")];
    const first = compile(entry, hostOf(files)).spec?.programs["count"]?.instructions;
    const expected = structuredClone(first);
    (first as Instruction[]).splice(0, 3);
    const second = compile(entry, hostOf(files)).spec?.programs["count"]?.instructions;
    expect(second).toEqual(expected);
    Object.assign(second?.[0] ?? {}, { dst: 9 });
    expect(compile(entry, hostOf(files)).spec?.programs["count"]?.instructions).toEqual(expected);
  });
});

describe("a store", () => {
  const entry = "/store/entry.bpf.ts";
  const two = (text: string): string => `${text}
export const other = tc("other", (ctx) => (ctx.length > 100 ? TC.SHOT : TC.OK));
`;
  const constant = (text: string): string => two(text).replace("slot.value += 1;", "slot.value += 2;");

  /** Values as another process sees them. */
  function kept() {
    const values = new Map<string, unknown>();
    const puts: string[] = [];
    const store = {
      get: (name: string): unknown => structuredClone(values.get(name)),
      put: (name: string, value: unknown): void => {
        puts.push(name.replace(/-.*/, ""));
        values.set(name, structuredClone(value));
      },
    };
    return { store, puts };
  }

  async function inNewProcess(files: Files, store: ReturnType<typeof kept>["store"]): Promise<Uint8Array> {
    vi.resetModules();
    const fresh = await import("../src/compile.ts");
    const { spec } = fresh.compile(entry, hostOf(files), { store });
    if (!spec) throw new Error("does not compile");
    return writeObject(spec);
  }

  test("is asked for the module, then for each function", async () => {
    const { store, puts } = kept();
    const files = filesOf("/store", { entry: two });
    const taken = (): string[] => puts.splice(0);
    expect(await inNewProcess(files, store)).toEqual(afresh(entry, files));
    expect(taken()).toEqual(["function", "function", "module"]);
    expect(await inNewProcess(files, store)).toEqual(afresh(entry, files));
    expect(taken()).toEqual([]);
    const moved = filesOf("/store", { entry: (text) => `// one\n${two(text)}` });
    expect(await inNewProcess(moved, store)).toEqual(afresh(entry, moved));
    expect(taken()).toEqual([]);
    const edited = filesOf("/store", { entry: constant });
    expect(await inNewProcess(edited, store)).toEqual(afresh(entry, edited));
    expect(taken()).toEqual(["function", "module"]);
  });
});
