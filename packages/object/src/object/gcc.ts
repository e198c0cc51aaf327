/**
 * @module
 * What GCC and the GNU assembler write differently.
 */
import { CALL } from "@skep/isa";
import { SHF, SHN, STT } from "../elf/format.ts";
import type { ElfFile } from "../elf/read.ts";

/** Whether GCC compiled the object: section `.comment` says so. */
export function isOfGcc(elf: ElfFile): boolean {
  const comment = elf.sections.find(({ name }) => name === ".comment")?.data;
  return comment !== undefined && String.fromCharCode(...comment.subarray(0, 256)).includes("GCC:");
}

/**
 * Whether immediates hold the symbol's value, in bytes also in calls, beside the relocation that adds it: the GNU assembler until 2.40. True
 * where GCC compiled the object and every relocation of code says so.
 */
export function hasWholeAddends(elf: ElfFile): boolean {
  if (!isOfGcc(elf)) return false;
  let isCertain = false;
  for (const section of elf.sections) {
    if ((section.flags & SHF.execinstr) === 0) continue;
    const view = new DataView(section.data.buffer, section.data.byteOffset, section.data.byteLength);
    for (const { offset, symbol } of elf.relocations.get(section.index) ?? []) {
      if (symbol.section === SHN.undef || symbol.value === 0 || symbol.type === STT.section) continue;
      if (offset + 8 > view.byteLength) return false;
      const imm = view.getInt32(offset + 4, elf.byteOrder === "little");
      const isCall = view.getUint8(offset) === CALL;
      if (isCall ? imm !== symbol.value - 1 : imm < symbol.value) return false;
      isCertain = true;
    }
  }
  return isCertain;
}
