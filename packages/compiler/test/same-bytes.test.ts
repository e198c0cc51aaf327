import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { emitModule, EmitCache } from "@skep/ir";
import { writeObject } from "@skep/object";
import { compile, lowerModule } from "../src/index.ts";

const twins = join(dirname(fileURLToPath(import.meta.url)), "../../../bench/twins/code");
const balancer = readFileSync(join(twins, "balancer.bpf.ts"), "utf8");

const LIBRARY = `import { subprogram, u32 } from "@skep/bpf";
export function twice(n: u32): u32 { return n * 2; }
export const thrice = subprogram((n: u32): u32 => n * 3 + 1);`;
const MAIN = `import { xdp, u32 } from "@skep/bpf";
import { thrice, twice } from "./lib/math.bpf.ts";
export const license = "GPL";
export const a = xdp("a", (ctx) => thrice(twice(ctx.ingressIfindex)) & 3);
export const b = xdp("b", (ctx) => thrice(ctx.rxQueueIndex) & 1);`;

function host(files: Readonly<Record<string, string>>) {
  return { readFile: (path: string): string | undefined => files[path] };
}

/** The object of a module in a folder, with what it imports beside it. */
function bytesIn(folder: string, main = MAIN): Uint8Array {
  const files = { [`${folder}/main.bpf.ts`]: main, [`${folder}/lib/math.bpf.ts`]: LIBRARY };
  const { spec, diagnostics } = compile(`${folder}/main.bpf.ts`, host(files));
  if (!spec) throw new Error(diagnostics.map(({ message }) => message).join("\n"));
  return writeObject(spec);
}

describe("objects", () => {
  it("are the same wherever the sources lie, and name no folder", () => {
    const first = bytesIn("/home/one/project/kernel");
    expect(bytesIn("/srv/x")).toEqual(first);
    const text = Buffer.from(first).toString("latin1");
    expect(text).toContain("lib/math.bpf.ts");
    expect(text).not.toContain("/home/one");
  });

  it("are the same from what was compiled before as from nothing", () => {
    const files = { "/p/main.bpf.ts": balancer };
    const { module } = lowerModule("/p/main.bpf.ts", host(files));
    if (!module) throw new Error("the balancer does not compile");
    const fresh = writeObject(emitModule(module).spec);
    const cache = new EmitCache();
    expect(writeObject(emitModule(module, { cache }).spec)).toEqual(fresh);
    expect(writeObject(emitModule(module, { cache }).spec)).toEqual(fresh);
    expect(writeObject(emitModule(module).spec)).toEqual(fresh);
  });

  it("follow an edit, and come back with it", () => {
    const before = bytesIn("/p");
    const edited = bytesIn("/p", MAIN.replace("& 1", "& 2"));
    expect(edited).not.toEqual(before);
    expect(bytesIn("/p", MAIN.replace("& 1", "& 2"))).toEqual(edited);
    expect(bytesIn("/p")).toEqual(before);
  });

  it("hold the source lines of an edit that changes no code", () => {
    bytesIn("/q");
    const edited = Buffer.from(bytesIn("/q", MAIN.replace("& 1);", "& 1); // the queue"))).toString("latin1");
    expect(edited).toContain("// the queue");
  });

  it("differ by the options, also where the cache is shared", () => {
    const { module } = lowerModule("/p/main.bpf.ts", host({ "/p/main.bpf.ts": balancer }));
    if (!module) throw new Error("the balancer does not compile");
    const cache = new EmitCache();
    const of = (cpu: 1 | 2 | 3 | 4): Uint8Array => writeObject(emitModule(module, { cpu, cache }).spec);
    const [one, three] = [of(1), of(3)];
    expect(one).not.toEqual(three);
    expect(of(1)).toEqual(one);
    expect(of(3)).toEqual(three);
  });
});

describe("diagnostics", () => {
  it("of a file that has not changed follow what it imports", () => {
    const main = `import { xdp } from "@skep/bpf"; import { n } from "./n.bpf.ts"; export const a = xdp("a", () => n);`;
    const of = (text: string): string[] =>
      compile("/d/main.bpf.ts", host({ "/d/main.bpf.ts": main, "/d/n.bpf.ts": text })).diagnostics.map(
        ({ code }) => code,
      );
    expect(of("export const n = 1;")).toEqual([]);
    expect(of('export const n = "one";')).toContain("TS2322");
    expect(of("export const n = 1;")).toEqual([]);
  });
});
