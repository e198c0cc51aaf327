import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { MAY_BE_REFUSED, specOf } from "./corpus.ts";

const folder = fileURLToPath(new URL("./", import.meta.url));
const names = readdirSync(folder).flatMap((file) =>
  file.endsWith(".bpf.ts") ? [file.slice(0, -".bpf.ts".length)] : [],
);

describe("the corpus of kernel programs", () => {
  it("is listed, and every program of it is run by a test in the kernel", () => {
    expect(names.length).toBeGreaterThanOrEqual(60);
    const readme = readFileSync(`${folder}README.md`, "utf8");
    const tests = readdirSync(folder).flatMap((file) =>
      file.endsWith(".kernel.test.ts") ? [readFileSync(`${folder}${file}`, "utf8")] : [],
    );
    expect(names.filter((name) => !readme.includes(`(${name}.bpf.ts)`))).toEqual([]);
    expect(names.filter((name) => !tests.some((text) => text.includes(`"${name}"`)))).toEqual([]);
    // What `Corpus.load` loads is held to have run by the last test of its file.
    const held = new Set(tests.flatMap((text) => [...text.matchAll(/\.load\("([^"]+)"/g)].map(([, name]) => name)));
    expect(names.filter((name) => !held.has(name)).sort()).toEqual(Object.keys(MAY_BE_REFUSED).sort());
    for (const text of tests.filter((one) => one.includes("new Corpus(")))
      expect(text).toContain("expect(corpus.neverRun()).toEqual([])");
  });

  it("has programs of most types", () => {
    const types = new Set(
      ["xdp-chain", "tc-nat", "socket-filter", "sockops-rtt", "trace-library", "congestion"].flatMap((name) =>
        Object.values(specOf(name).programs).map(({ type }) => type),
      ),
    );
    expect([...types].sort()).toEqual(["kprobe", "sched_cls", "sock_ops", "socket_filter", "struct_ops", "xdp"]);
  });
});
