import { describe, expect, it } from "vitest";
import { crc32 } from "@skep/bpf/hash";
import { runOnce, start } from "./harness.ts";
import type { LanguageCase } from "./language-cases/case.ts";
import { CONTROL_FLOW } from "./language-cases/control-flow.ts";
import { FUNCTIONS } from "./language-cases/functions.ts";
import { MAPS } from "./language-cases/maps.ts";
import { MEMORY } from "./language-cases/memory.ts";
import { SCOPES } from "./language-cases/scopes.ts";
import { canUseBpf } from "./privilege.ts";

const IMPORTS = [
  "array",
  "assert",
  "atomicAdd",
  "atomicCompareExchange",
  "atomicExchange",
  "be16",
  "be32",
  "be64",
  "bits",
  "bool",
  "config",
  "global",
  "hash",
  "hashOfMaps",
  "i16",
  "i32",
  "i64",
  "i8",
  "loop",
  "lpmTrie",
  "lruHash",
  "percpuArray",
  "queue",
  "range",
  "RINGBUF",
  "ringBuf",
  "SpinLock",
  "spinLock",
  "spinUnlock",
  "stack",
  "struct",
  "subprogram",
  "Timer",
  "timerCancel",
  "timerInit",
  "timerSetCallback",
  "timerStart",
  "u16",
  "u32",
  "u64",
  "u8",
  "union",
  "xdp",
  "XDP",
  "xdpAdjustHead",
];

function program({ top = "", body }: LanguageCase): string {
  return `
export const license = "GPL";
import { ${IMPORTS.join(", ")}, type BpfMap, type FixedArray, type Of, type XdpContext } from "@skep/bpf";
const Io = struct("Io", { w: array(u32, 8) });
${top}
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  if (!io) return 999;
  ${body}
});
`;
}

const CASES: readonly LanguageCase[] = [...CONTROL_FLOW, ...FUNCTIONS, ...MAPS, ...MEMORY, ...SCOPES];

function packet(words: readonly number[] = []): Uint8Array {
  const data = new Uint8Array(64);
  const view = new DataView(data.buffer);
  words.forEach((word, at) => view.setUint32(at * 4, word, true));
  return data;
}

describe.skipIf(!canUseBpf())("the language in the kernel", () => {
  for (const one of CASES) {
    it(one.name, () => {
      const { returned, data } = runOnce(program(one), packet(one.words));
      expect(returned).toBe(one.returns >>> 0);
      const view = new DataView(data.buffer, data.byteOffset);
      one.after?.forEach((word, at) => expect(view.getUint32(at * 4, true)).toBe(word));
    });
  }

  it("what a system call is given, indexed by variables", () => {
    const running = start(`
      import { array, struct, syscall, u32, u8 } from "@skep/bpf";
      import { crc32 } from "@skep/bpf/hash";
      const A = struct("A", { bytes: array(u8, 24), at: u32, sum: u32, crc: u32 });
      export const main = syscall("main", A, (a) => {
        a.bytes[1] = 77;
        for (const byte of a.bytes) a.sum += byte;
        a.crc = crc32(a.bytes);
        return a.bytes[a.at + 1] ?? 50;
      });`);
    try {
      const context = new Uint8Array(36);
      context[3] = 5;
      const answer = running.collection.programs["main"]?.test({ context });
      const view = new DataView((answer?.context ?? context).buffer, answer?.context?.byteOffset ?? 0);
      const bytes = Uint8Array.from({ length: 24 }, (_, at) => (at === 1 ? 77 : at === 3 ? 5 : 0));
      expect(answer?.returned).toBe(77);
      expect([view.getUint32(28, true), view.getUint32(32, true)]).toEqual([82, crc32(bytes)]);
    } finally {
      running.close();
    }
  });
});
