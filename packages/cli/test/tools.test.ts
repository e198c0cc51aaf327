import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assemble } from "@skep/isa";
import { writeObject } from "@skep/object";
import type { Command } from "commander";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { missingCapabilities, runDoctor } from "../src/doctor.ts";
import { parseMounts } from "../src/mounts.ts";
import { parseLabels } from "../src/labels.ts";
import { notedPlace, notePlace } from "../src/place.ts";
import { formatDuration, parseDuration, timeOption } from "../src/output/duration.ts";
import { formatPairs, formatTable } from "../src/output/table.ts";
import { buildProgram } from "../src/program.ts";
import { compileFile } from "../src/commands/compile.ts";
import { builtCommand } from "./built.ts";
import { skep } from "./in-process.ts";

describe("help", () => {
  const all = (command: Command): Command[] => [command, ...command.commands.flatMap(all)];
  const program = buildProgram(() => Promise.resolve(), null);

  it("has a summary for every command, and examples for those that do something", async () => {
    for (const command of all(program).slice(1)) {
      const path: string[] = [];
      for (let each: Command | null = command; each?.parent; each = each.parent) path.unshift(each.name());
      expect(command.summary(), path.join(" ")).not.toBe("");
      const { status, stdout } = await skep(...path, "--help");
      expect(status).toBe(0);
      if (command.commands.length === 0) expect(stdout, path.join(" ")).toMatch(/Examples:\n {2}\S/);
    }
  });

  it("ends with 0, wrong use with 2", async () => {
    expect((await skep("--help")).status).toBe(0);
    expect((await skep("--version")).status).toBe(0);
    expect((await skep("nonsense")).status).toBe(2);
    expect((await skep("up")).status).toBe(2);
    expect((await skep("run", "--name", "a")).status).toBe(2);
    expect((await skep("up", "/nonexistent/folder")).status).toBe(2);
  });
});

describe("the process", () => {
  let command = "";
  let line: string[] = [];
  beforeAll(() => {
    command = builtCommand();
    line = [command, "drops", "list"];
  });

  it.skipIf(!existsSync("/dev/full"))("says when its output cannot be written", () => {
    const full = openSync("/dev/full", "w");
    try {
      const stdio: ("ignore" | "pipe" | number)[] = ["ignore", full, "pipe"];
      const { status, stderr } = spawnSync(process.execPath, line, { stdio, encoding: "utf8" });
      expect({ status, stderr }).toEqual({ status: 1, stderr: "skep: the output cannot be written: ENOSPC\n" });
    } finally {
      closeSync(full);
    }
  });

  it("ends quietly when its reader goes away", () => {
    const shown = [process.execPath, ...line].map((each) => `'${each}'`).join(" ");
    const { status, stdout, stderr } = spawnSync("bash", ["-c", `set -o pipefail; ${shown} | head -1`], {
      encoding: "utf8",
    });
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^CODE/);
  });

  it("reads objects of vm plugin --elf from standard input", () => {
    const { instructions } = assemble("r2 = *(u32 *)(r1 + 4)\nr0 = *(u32 *)(r1 + 0)\nr2 -= r0\nr0 = r2\nexit");
    const made = writeObject({
      ...{ license: "GPL", byteOrder: "little", maps: {}, functions: {} },
      programs: {
        size: {
          ...{ name: "size", section: "xdp", type: "xdp", flags: 0, linkage: "global" },
          ...{ instructions, references: [], lines: [], coreRelocations: [] },
        },
      },
    });
    const elf = Buffer.from(made).toString("hex").replace(/../g, "$& ");
    const args = [command, "vm", "plugin", "--elf", "00 ".repeat(64).trim()];
    const { stdout, stderr } = spawnSync(process.execPath, args, { input: `${elf}\n`, encoding: "utf8" });
    expect({ stdout, stderr }).toEqual({ stdout: "40\n", stderr: "" });
  });
});

describe("drops list", () => {
  it("prints the table of codes", async () => {
    const { stdout } = await skep("drops", "list");
    expect(stdout).toMatch(/^CODE +TEXT +NAME\n130 /);
    expect(stdout).toMatch(/^133 +Policy denied +POLICY_DENIED$/m);
    const json = JSON.parse((await skep("drops", "list", "--all", "-o", "json")).stdout) as { code: number }[];
    expect(json[0]?.code).toBe(0);
    expect(json.at(-1)?.code).toBe(207);
  });
});

describe("version", () => {
  it("names skep, Node and the kernel", async () => {
    const value = JSON.parse((await skep("version", "-o", "json")).stdout) as Record<string, string>;
    expect(value["skep"]).toMatch(/^\d+\.\d+\.\d+$/);
    expect(value["node"]).toBe(process.versions.node);
  });
});

describe("completion", () => {
  const bash = async (line: string): Promise<string[]> => {
    const script = (await skep("completion", "bash")).stdout;
    const words = line.split(" ");
    const run = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}; _skep; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr, status } = spawnSync("bash", ["-c", run], { encoding: "utf8" });
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
    return stdout.trim().split("\n");
  };

  it("of bash knows commands, options and their values", async () => {
    expect(await bash("skep do")).toEqual(["down", "doctor"]);
    expect(await bash("skep policy ")).toEqual(expect.arrayContaining(["get", "wait", "--help"]));
    expect(await bash("skep endpoint list -o ")).toEqual(["table", "json", "yaml"]);
    expect(await bash("skep observe --from-l")).toEqual(["--from-label"]);
    expect(await bash("skep observe -o j")).toEqual(["json", "jsonpb"]);
    expect(await bash("skep map dump p")).toEqual(["pinned"]);
    expect(await bash("skep struct_ops show n")).toEqual(["name"]);
    expect(await bash("skep prog dump x")).toEqual(["xlated"]);
  });

  it("is of bash, zsh and fish", async () => {
    for (const shell of ["zsh", "fish"]) expect((await skep("completion", shell)).stdout).toContain("observe");
    expect((await skep("completion", "tcsh")).status).toBe(2);
  });
});

describe("labels of a workload", () => {
  it("are key=value", () => {
    expect(parseLabels(["org=empire", "a=b,c=d=e", "bare"])).toEqual({ org: "empire", a: "b", c: "d=e", bare: "" });
    expect(() => parseLabels(["=x"])).toThrow(/not a label/);
  });
});

describe("durations and times", () => {
  it.each([
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["250ms", 250],
    ["1.5s", 1500],
    ["2d", 172_800_000],
    ["5", null],
    ["", null],
    ["5 m", null],
  ])("%s is %s", (text, expected) => expect(parseDuration(text)).toBe(expected));

  it.each([
    ["5m", 700_000],
    ["2026-03-02T01:01:07Z", Date.UTC(2026, 2, 2, 1, 1, 7)],
    ["2026-03-02 01:01:07", Date.UTC(2026, 2, 2, 1, 1, 7)],
    ["2026-03-02T01", Date.UTC(2026, 2, 2, 1)],
    ["2026-03-02", Date.UTC(2026, 2, 2)],
    ["2026-03-02T01:01:07+01:00", Date.UTC(2026, 2, 2, 0, 1, 7)],
    ["1700000000", 1_700_000_000_000],
  ])("%s is %s", (text, expected) => expect(timeOption(text, 1_000_000)).toBe(expected));

  it.each([
    [0, "0s"],
    [59_999, "59s"],
    [200_000, "3m 20s"],
    [3_600_000, "1h"],
    [90_061_000, "1d 1h"],
  ])("%s prints as %s", (ms, expected) => expect(formatDuration(ms)).toBe(expected));
});

describe("tables", () => {
  it("line up, with cells of several lines and colour", () => {
    expect(
      formatTable(
        ["A", "B"],
        [
          ["1", "x\ny"],
          ["\u001b[32mlong\u001b[39m", "z"],
        ],
      ),
    ).toBe("A     B\n1     x\n      y\n\u001b[32mlong\u001b[39m  z\n");
    expect(
      formatPairs([
        ["Name", "value"],
        ["X", "a\nb"],
      ]),
    ).toBe("Name  value\nX     a\n      b\n");
  });
});

describe("doctor", () => {
  it("reads capabilities", () => {
    expect(missingCapabilities("CapEff:\t0000000000000000\n")).toEqual([
      "CAP_NET_ADMIN",
      "CAP_SYS_ADMIN",
      "CAP_PERFMON",
      "CAP_BPF",
    ]);
    expect(missingCapabilities("CapEff:\t000001ffffffffff\n")).toEqual([]);
    // CAP_SYS_ADMIN and CAP_NET_ADMIN are enough.
    expect(missingCapabilities(`CapEff:\t${((1n << 21n) | (1n << 12n)).toString(16).padStart(16, "0")}\n`)).toEqual([]);
  });

  it("reads mounts", () => {
    const line = "31 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
    expect(parseMounts(`${line}\n`)).toEqual([{ point: "/sys/fs/cgroup", type: "cgroup2" }]);
  });

  it("says for all that is not ok what it costs and how to mend it", async () => {
    const checks = await runDoctor();
    expect(checks.map((check) => check.name)).toEqual(expect.arrayContaining(["node", "kernel"]));
    for (const check of checks) {
      expect(check.found).not.toBe("");
      if (check.state !== "ok") expect([check.cost, check.mend]).not.toContain("");
    }
    const { status, stdout } = await skep("doctor", "-o", "json");
    expect(status).toBe(checks.some((check) => check.state === "missing") ? 2 : 0);
    expect((JSON.parse(stdout) as unknown[]).length).toBe(checks.length);
  });
});

describe("compile", () => {
  const folder = mkdtempSync(join(tmpdir(), "skep-compile-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("points at what is wrong and writes nothing", async () => {
    const file = join(folder, "wrong.bpf.ts");
    writeFileSync(file, 'export const x: number = "text";\n');
    const { status, stdout, stderr } = await skep("compile", file, "-o", join(folder, "wrong.o"));
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/wrong\.bpf\.ts:1:\d+: error .*\n1 \| export const x/);
    expect(stderr).toMatch(/\n1 error\n$/);
  });

  const tutorial = fileURLToPath(new URL("../../../examples/redirect-port-80/redirect.bpf.ts", import.meta.url));

  it("writes an object, or prints what would be in it", async () => {
    const output = join(folder, "redirect.o");
    expect(await skep("compile", tutorial, "-o", output)).toEqual({ status: 0, stdout: "", stderr: "" });
    expect(readFileSync(output).subarray(0, 4).toString("latin1")).toBe("\u007fELF");
    const asm = (await skep("compile", tutorial, "--emit", "asm")).stdout;
    expect(asm).toMatch(/^; .*redirect\.bpf\.ts:\d+: \S/m);
    expect(asm).toMatch(/^ *\d+: \([0-9a-f]{2}\) exit$/m);
    expect((await skep("compile", tutorial, "--emit", "btf")).stdout).toMatch(/^\[1\] [A-Z]/);
    expect((await skep("compile", tutorial, "--emit", "c")).stdout).toContain("struct");
  });

  it("shows the intermediate form, a header, declarations, and a function beside its source", async () => {
    const emit = async (what: string, ...more: string[]) =>
      (await skep("compile", tutorial, "--emit", what, ...more)).stdout;
    expect(await emit("ir")).toMatch(/program\(tc sched_cls\) function port80\(ctx: ptr\): i32 \{/);
    expect((await emit("ir", "--no-optimize")).length).toBeGreaterThan((await emit("ir")).length);
    expect(await emit("c-header")).toMatch(/^#ifndef REDIRECT_BPF_TS_H\n#define REDIRECT_BPF_TS_H\n/);
    const declarations = await emit("d.ts");
    expect(declarations).toContain(
      'export declare const port80: import("@skep/bpf").Program<import("@skep/bpf").TcContext>;',
    );
    expect(declarations).not.toContain("..");
    const { stdout, status } = await skep("compile", tutorial, "--explain", "port80");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^24 {2}const ip = ctx\.header\(Ipv4, Ethernet\.size\); *\| +\d+: \([0-9a-f]{2}\) /m);
    expect((await skep("compile", tutorial, "--explain", "nothing")).status).toBe(2);
  });

  it("explains a function that was inlined where it was inlined", async () => {
    const file = join(folder, "inlined.bpf.ts");
    writeFileSync(
      file,
      `import { tc, TC, u32 } from "@skep/bpf";
import { rotateLeft32 } from "@skep/bpf/hash";
function mix(value: u32): u32 {
  const product: u32 = value * 0x9e3779b1;
  return product ^ (product >> 15);
}
const unused = (value: u32): u32 => value + 1;
export const first = tc("first", (ctx) => {
  ctx.mark = mix(ctx.mark);
  return TC.OK;
});
export const second = tc("second", (ctx) => {
  const turned = rotateLeft32(ctx.length, 5);
  return turned;
});
`,
    );
    const explain = async (name: string) => (await skep("compile", file, "--explain", name)).stdout;
    const text = await explain("mix");
    expect(text).toMatch(
      /^mix: inlined ; inlined\.bpf\.ts:3\n {2}called at inlined\.bpf\.ts:9 in first\n\nin first: 4 instructions of 8\n/,
    );
    expect(text).toMatch(/^4 {2}const product: u32 = value \* 0x9e3779b1; \| +\d+: \(24\) w\d \*= /m);
    expect(text).not.toContain("ctx.mark");
    expect(await explain("rotateLeft32")).toMatch(/ in second\n(?:.*\n)*\nin second: \d instructions? of/);
    expect(await explain("unused")).toContain("no instruction of it is left");
  });

  it("writes the pure functions as JavaScript, with their declarations", async () => {
    const hash = fileURLToPath(new URL("../../bpf/src/std/hash.bpf.ts", import.meta.url));
    const output = join(folder, "hash.js");
    expect((await skep("compile", hash, "--emit", "js", "-o", output)).status).toBe(0);
    const code = readFileSync(output, "utf8");
    const { jhash1Word } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as Record<
      string,
      (word: number, seed: number) => number
    >;
    expect(jhash1Word?.(1, 0)).toBe(0x72a82a9b);
    expect(readFileSync(join(folder, "hash.d.ts"), "utf8")).toContain(
      "export declare function jhash1Word(a: number, seed: number): number;",
    );
    expect((await skep("compile", tutorial, "--emit", "js")).status).toBe(1);
  });

  it("keeps to the instruction set that was asked for", async () => {
    const asm = async (cpu: string) => (await skep("compile", tutorial, "--emit", "asm", "--cpu", cpu)).stdout;
    // 32-bit jumps (class 6) are of v3.
    const jump32 = /\((?:16|1e|26|2e|56|5e|a6|ae|b6|be)\) if w/;
    expect(await asm("v3")).toMatch(jump32);
    expect(await asm("v1")).not.toMatch(jump32);
    expect(await asm("v2")).not.toMatch(jump32);
    expect((await skep("compile", tutorial, "--cpu", "v9")).status).toBe(2);
  });

  it("compiles again when a file changes", async () => {
    const file = join(folder, "watched.bpf.ts");
    const text = readFileSync(tutorial, "utf8");
    writeFileSync(file, text);
    const output = join(folder, "watched.o");
    const stop = new AbortController();
    const running = compileFile({ file, output, watch: true, signal: stop.signal });
    const settled = async (done: () => boolean) => {
      for (let round = 0; round < 2400 && !done(); round++) await new Promise((resolve) => setTimeout(resolve, 25));
      expect(done()).toBe(true);
    };
    const size = () => (existsSync(output) ? readFileSync(output).length : 0);
    await settled(() => size() > 0);
    const before = size();
    writeFileSync(
      file,
      text.replace("return redirect(workload.value, 0n);", "return redirect(workload.value, 1n) + drop();"),
    );
    await settled(() => size() > 0 && size() !== before);
    stop.abort();
    expect(await running).toBe(0);
  });

  it("ends with 2 where there is no such module", async () => {
    expect((await skep("compile", join(folder, "none.bpf.ts"))).status).toBe(2);
    expect((await skep("compile", folder)).status).toBe(2);
  });
});

describe("the place of an agent", () => {
  const run = mkdtempSync(join(tmpdir(), "skep-place-"));
  afterAll(() => rmSync(run, { recursive: true, force: true }));

  it("is found again", () => {
    expect(notedPlace(run)).toBeNull();
    const place = { state: "/s", pins: "/p", cgroup: "c", netns: null, mounts: [] };
    notePlace(run, place);
    expect(notedPlace(run)).toEqual(place);
    writeFileSync(join(run, "place.json"), "{");
    expect(() => notedPlace(run)).toThrow(/damaged/);
  });
});
