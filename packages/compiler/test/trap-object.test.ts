// What loaders want of an object, each as the file has it: header, sections, symbols, relocations, types of maps and data.
import { describe, expect, it } from "vitest";
import { readBtfSection, writeObject } from "@skep/object";
import { specOf } from "./harness.ts";

const TEXT = `
import { array, config, global, hash, loop, struct, subprogram, tc, u32, u64, xdp } from "@skep/bpf";
const V = struct("V", { n: u64 });
export const counts = hash("counts", { key: u32, value: V, maxEntries: 8 });
export const slots = array("slots", { value: V, maxEntries: 2 });
export const limit = config("limit", u32, 5);
export const seen = global("seen", u64);
export const license = "GPL";
const over = subprogram((n: u32): u32 => { let s = n; for (let i = 0; i < 9; i++) s = (s ^ i) * 3; return s; });
export const first = xdp("first", (ctx) => {
  const v = slots.get(1);
  if (v) v.n += 1n;
  seen.value += 1n;
  let sum = 0;
  loop(limit.value, (i) => { sum += i; });
  return (over(ctx.length) + sum) & 1;
});
export const second = tc("second", (ctx) => {
  counts.set(ctx.mark, { n: 1n });
  return over(ctx.length) & 1;
});`;

interface Section {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly data: Uint8Array;
  readonly info: number;
}

interface Sym {
  readonly name: string;
  readonly type: number;
  readonly bind: number;
  readonly section: number;
  readonly value: number;
  readonly size: number;
}

/** Elf64_Ehdr, Elf64_Shdr and Elf64_Sym of the gABI. */
function readElf(bytes: Uint8Array): { view: DataView; sections: Section[]; symbols: Sym[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  const text = (table: Uint8Array, at: number): string =>
    new TextDecoder().decode(table.subarray(at, table.indexOf(0, at)));
  const start = u64(40);
  const raw = Array.from({ length: view.getUint16(60, true) }, (_, at) => {
    const head = start + at * 64;
    const [offset, size, type] = [u64(head + 24), u64(head + 32), view.getUint32(head + 4, true)];
    const data = bytes.subarray(offset, type === 8 ? offset : offset + size);
    return {
      name: view.getUint32(head, true),
      type,
      flags: u64(head + 8),
      data,
      info: view.getUint32(head + 44, true),
    };
  });
  const names = raw[view.getUint16(62, true)]?.data ?? new Uint8Array(1);
  const sections = raw.map((one) => ({ ...one, name: text(names, one.name) }));
  const table = sections.find(({ type }) => type === 2)?.data ?? new Uint8Array();
  const strings = sections.find(({ name }) => name === ".strtab")?.data ?? new Uint8Array(1);
  const rows = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const symbols = Array.from({ length: table.length / 24 }, (_, index) => {
    const at = index * 24;
    const kind = rows.getUint8(at + 4);
    return {
      name: text(strings, rows.getUint32(at, true)),
      type: kind & 15,
      bind: kind >> 4,
      section: rows.getUint16(at + 6, true),
      value: Number(rows.getBigUint64(at + 8, true)),
      size: Number(rows.getBigUint64(at + 16, true)),
    };
  });
  return { view, sections, symbols };
}

const [LOCAL, GLOBAL] = [0, 1];
const [OBJECT, FUNC] = [1, 2];
const [PROGBITS, REL] = [1, 9];

describe("3.1: the file", () => {
  const bytes = writeObject(specOf(TEXT));
  const { view, sections, symbols } = readElf(bytes);
  const symbol = (name: string): Sym | undefined => symbols.find((one) => one.name === name);
  const sectionOf = (name: string): Section | undefined => sections[symbol(name)?.section ?? 0];

  it("is a relocatable file of 64 bits, little-endian, for BPF", () => {
    expect([view.getUint8(4), view.getUint8(5)]).toEqual([2, 1]);
    expect([view.getUint16(16, true), view.getUint16(18, true)]).toEqual([1, 247]);
  });

  it("has each program as a global function of its exact size in a section of code that names its type", () => {
    for (const [name, section] of [
      ["first", /^xdp/],
      ["second", /^tc/],
    ] as const) {
      expect(symbol(name)).toMatchObject({ type: FUNC, bind: GLOBAL });
      expect((symbol(name)?.value ?? 1) % 8).toBe(0);
      expect(sectionOf(name)).toMatchObject({ type: PROGBITS, flags: 6 });
      expect(sectionOf(name)?.name).toMatch(section);
      expect(symbol(name)?.size).toBe(sectionOf(name)?.data.length);
    }
  });

  it("has static functions local in .text", () => {
    expect(symbol("over")).toMatchObject({ type: FUNC, bind: LOCAL });
    expect(sectionOf("over")?.name).toBe(".text");
  });

  it("ends the licence with a zero", () => {
    expect(new TextDecoder().decode(sections.find(({ name }) => name === "license")?.data)).toBe("GPL\0");
  });

  it("has maps as global objects, no two at one place, each inside .maps", () => {
    const maps = symbols.filter((one) => sections[one.section]?.name === ".maps" && one.type === OBJECT);
    expect(maps.map(({ name }) => name).sort()).toEqual(["counts", "slots"]);
    expect(maps.every(({ bind }) => bind === GLOBAL)).toBe(true);
    expect(new Set(maps.map(({ value }) => value)).size).toBe(maps.length);
    const size = sections.find(({ name }) => name === ".maps")?.data.length ?? 0;
    for (const { value, size: own } of maps) expect(value + own).toBeLessThanOrEqual(size);
  });

  it("relocates nothing but 64-bit constants and calls", () => {
    const relocations = sections.filter(({ type, name }) => type === REL && !name.startsWith(".rel.BTF"));
    expect(relocations.length).toBeGreaterThan(1);
    for (const { data, info } of relocations) {
      const rows = new DataView(data.buffer, data.byteOffset, data.byteLength);
      for (let at = 0; at < data.length; at += 16) {
        const opcode = sections[info]?.data[Number(rows.getBigUint64(at, true))];
        const type = rows.getUint32(at + 8, true);
        expect([type, opcode]).toEqual(type === 10 ? [10, 0x85] : [1, 0x18]);
      }
    }
  });

  it("has no unnamed leftovers: common symbols, exception tables", () => {
    expect(symbols.some(({ section }) => section === 0xfff2)).toBe(false);
    expect(sections.some(({ name }) => name.includes("eh_frame"))).toBe(false);
  });
});

describe("3.2 and 3.3: types of maps and data", () => {
  const types = readBtfSection(writeObject(specOf(TEXT)));

  it("data sections are named, in order, and as large as they are", () => {
    const found = (types?.types ?? []).flatMap((type) => (type?.kind === "datasec" ? [type] : []));
    expect(found.map(({ name }) => name)).toEqual(expect.arrayContaining([".maps", ".bss", ".rodata"]));
    for (const { size, variables } of found) {
      expect(size).toBeGreaterThan(0);
      let end = 0;
      for (const { offset, size: own } of variables) {
        expect(own).toBeGreaterThan(0);
        expect(offset).toBeGreaterThanOrEqual(end);
        end = offset + own;
      }
      expect(end).toBeLessThanOrEqual(size);
    }
  });
});
