/**
 * @module
 * Traps of the kernel's verifier as programs: what is taken, with its result and its cost, and what is refused, with the reason and the line.
 */
import { describe, expect, it } from "vitest";
import { VerifierError } from "@skep/linux";
import { refusalDiagnostic } from "../src/index.ts";
import { bpf, specOf, start } from "./harness.ts";
import { canUseBpf } from "./privilege.ts";

export interface Trap {
  readonly name: string;
  readonly top?: string;
  /** The body of an XDP program; `io` is the packet as eight words, `m` a map's value of 64 words, each three times its index. */
  readonly body: string;
  readonly words?: readonly number[];
  readonly returns: number;
  /** Instructions that the verifier may walk. */
  readonly most: number;
}

const program = ({ top = "", body }: Pick<Trap, "top" | "body">): string => `
import { array, be16, be32, config, global, hash, i32, ktimeGetNs, range, ringBuf, struct, subprogram, type Of, u16, u32, u64, u8, xdp, XDP } from "@skep/bpf";
import { Ethernet, Ipv4, Tcp } from "@skep/bpf/net";
export const license = "GPL";
const Io = struct("Io", { w: array(u32, 8) });
const Table = struct("Table", { w: array(u32, 64) });
export const table = array("table", { value: Table, maxEntries: 1 });
${top}
export const main = xdp("main", (ctx) => {
  const io = ctx.header(Io, 0);
  const m = table.get(0);
  if (!io || !m) return 999;
  for (const i of range(64)) m.w[i] = i * 3;
  ${body}
});`;

export function testTraps(title: string, traps: readonly Trap[]): void {
  describe.skipIf(!canUseBpf())(title, () => {
    it.each(traps)("$name", (trap) => {
      const running = start(program(trap));
      try {
        const data = new Uint8Array(Uint32Array.from({ length: 32 }, (_, i) => trap.words?.[i] ?? 0).buffer);
        expect(running.run(data).returned).toBe(trap.returns);
        // The table's loop of 64 rounds comes on top.
        const walked = running.collection.programs["main"]?.info.verifiedInstructions ?? Infinity;
        expect(walked).toBeLessThan(trap.most + 1000);
      } finally {
        running.close();
      }
    });
  });
}

/** What no code can make of the program: the kernel says why. */
export interface Refused {
  readonly name: string;
  readonly top?: string;
  readonly body: string;
  readonly reason: RegExp;
  /** The line of the body that is shown. */
  readonly at: number;
}

export function testRefusals(title: string, traps: readonly Refused[]): void {
  describe.skipIf(!canUseBpf())(title, () => {
    it.each(traps)("$name", (trap) => {
      const text = program(trap);
      const load = (): void => bpf.load(specOf(text)).close();
      expect(load).toThrow(VerifierError);
      try {
        load();
      } catch (error) {
        if (!(error instanceof VerifierError)) throw error;
        expect(error.log).toMatch(trap.reason);
        const first = text.slice(0, text.indexOf(trap.body)).split("\n").length;
        expect((refusalDiagnostic(error).span?.line ?? 0) - first).toBe(trap.at);
      }
    });
  });
}
