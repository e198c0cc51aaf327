import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { writeObject } from "@skep/object";
import type { ObjectSpec } from "@skep/object";
import { exit, jmp, ldx, mem, mov64, r0, r1, r2, r3 } from "@skep/isa";
import { skep } from "./in-process.ts";

const folder = mkdtempSync(join(tmpdir(), "skep-verify-"));
const file = join(folder, "two.o");

/** One program that compares the packet's end, one that does not. */
function object(): ObjectSpec {
  const begin = [ldx("u32", r2, mem(r1, 0)), ldx("u32", r3, mem(r1, 4)), mov64(r0, 1)];
  const program = (name: string, rest: ObjectSpec["programs"][string]["instructions"]) => ({
    ...{
      name,
      section: "xdp",
      type: "xdp",
      flags: 0,
      linkage: "global" as const,
      references: [],
      lines: [],
      coreRelocations: [],
    },
    instructions: [...begin, ...rest, exit()],
  });
  const load = ldx("u8", r0, mem(r2, 0));
  const good = program("good", [
    { opcode: 0xbf, dst: 4, src: 2, offset: 0, imm: 0 },
    { opcode: 0x07, dst: 4, src: 0, offset: 0, imm: 1 },
    { opcode: 0x2d, dst: 4, src: 3, offset: 1, imm: 0 },
    load,
  ]);
  const bad = program("bad", [jmp("jeq", r0, 0, 1), load]);
  return { license: "GPL", byteOrder: "little", maps: {}, programs: { good, bad }, functions: {} };
}

beforeAll(() => writeFileSync(file, writeObject(object())));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("says which program is refused, where, and what mends it", async () => {
  const { status, stdout } = await skep("verify", file);
  expect(status).toBe(1);
  expect(stdout).toContain("good: accepted");
  expect(stdout).toContain(
    "bad: refused: bytes 0 to 1 of the packet are read or written, 0 are known to be there [VER3007]",
  );
  expect(stdout).toContain("input that breaks it:\n    a packet of 0 bytes");
  expect(stdout).toContain("mend: Compare pointer + size with data_end first");
});

test("of one program, with its registers, its path and its budget", async () => {
  const { status, stdout } = await skep("verify", file, "--program", "bad", "--explain", "--budget");
  expect(status).toBe(1);
  expect(stdout).toContain("r2: packet (0 bytes proven)");
  expect(stdout).toMatch(/path:\n {4}begins/);
  expect(stdout).toMatch(/budget: \d+ of 1000000 instructions/);
  expect(stdout).not.toContain("good");
});

test("accepts what is right", async () => {
  expect((await skep("verify", file, "--program", "good", "--kernel", "5.10")).status).toBe(0);
});

test("knows wrong use", async () => {
  expect((await skep("verify", join(folder, "none.o"))).status).toBe(2);
  expect((await skep("verify", file, "--program", "none")).status).toBe(2);
  expect((await skep("verify", file, "--kernel", "old")).status).toBe(2);
});
