/**
 * @module
 * What command line tools need beyond links: attachments that stay, symbols by address, the log of bpf_printk.
 */
import { call, exit, mov64, r0, r1, r10, r2, st, mem, alu64, r3 } from "@skep/isa";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  attachPersistent,
  detachPersistent,
  followTraceLog,
  isTraceOn,
  kernelSymbolAddress,
  kernelSymbolsAt,
} from "../src/bpf/index.ts";
import { addressOf, symbolsAt } from "../src/bpf/kernel-symbols.ts";
import { canUseBpf, objectSpec } from "../src/bpf/testing.ts";
import { openProcesses } from "../src/processes/index.ts";
import { Lab } from "./lab.ts";

describe.skipIf(!canUseBpf())("tools", () => {
  let lab: Lab;
  beforeAll(() => {
    lab = new Lab("tools");
  });
  afterEach(() => lab.reset());
  afterAll(() => lab.close());

  test("a program stays on a cgroup without a link, until it is detached", async () => {
    const processes = openProcesses();
    const name = `skep-test-${process.pid}-tools`;
    const cgroup = processes.createCgroup(name);
    try {
      const program = lab.load("cgroup", ["connect4"]).programs["connect4"]!;
      const target = { cgroup: cgroup.path, attachType: "cgroup_inet4_connect", mode: "multi" } as const;
      const query = () =>
        lab.bpf.query({ hook: "cgroup", path: cgroup.path, attachType: "cgroup_inet4_connect" }).programs;
      attachPersistent(program, target);
      expect(query()).toEqual([{ programId: program.info.id }]);
      detachPersistent(program, target);
      expect(query()).toEqual([]);
      expect(() => detachPersistent(program, target)).toThrow(/bpf\(PROG_DETACH\).*ENOENT/);
      expect(() => attachPersistent(program, { ...target, attachType: "none" })).toThrow("no such attach type: none");
    } finally {
      await processes.deleteCgroup(name);
    }
  });

  test("symbols by their addresses", () => {
    const address = kernelSymbolAddress("bpf_prog_free");
    if (address === null) return console.warn("not looked up: addresses are hidden");
    expect(kernelSymbolsAt([address, 1n]).get(address)).toBe("bpf_prog_free");
    const text = "ffffffff81000000 T _text\nffffffff81000010 t a_function\t[module]\n";
    expect([...symbolsAt([0xffff_ffff_8100_0010n, 0xffff_ffff_8100_0000n, 5n], text)]).toEqual([
      [0xffff_ffff_8100_0010n, "a_function"],
      [0xffff_ffff_8100_0000n, "_text"],
    ]);
    expect(addressOf("a_function", text)).toBe(0xffff_ffff_8100_0010n);
    expect(addressOf("_text", text)).toBe(0xffff_ffff_8100_0000n);
    expect(addressOf("text", text)).toBeNull();
  });

  test("what a program prints is followed", async ({ skip }) => {
    if (!isTraceOn()) skip("the machine's trace is switched off (tracing_on)");
    // "skep\n" on the stack, printed.
    const code = [
      st("u32", mem(r10, -8), 0x70656b73),
      st("u32", mem(r10, -4), 0x0a),
      mov64(r1, r10),
      alu64("add", r1, -8),
      mov64(r2, 6),
      mov64(r3, 0),
      call("trace_printk"),
      mov64(r0, 0),
      exit(),
    ];
    const program = lab.keep(lab.bpf.load(objectSpec([{ type: "raw_tracepoint", code }]))).programs["small"]!;
    const line = new Promise<string>((resolve) => {
      const log = lab.keep(
        followTraceLog((text) => {
          if (/bpf_trace_printk: skep\n/.test(text)) resolve(text);
        }),
      );
      expect(log).toBeDefined();
    });
    program.test({ context: new Uint8Array(16) });
    expect(await line).toMatch(/bpf_trace_printk: skep\n/);
  });
});
