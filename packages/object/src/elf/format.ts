/** Numbers of the ELF format (elf.h) and of eBPF's part of it (Documentation/bpf/llvm_reloc.rst). */
export const ET_REL = 1;
export const EM_BPF = 247;

export const SHT = { null: 0, progbits: 1, symtab: 2, strtab: 3, rela: 4, nobits: 8, rel: 9 } as const;
export const SHF = { write: 1, alloc: 2, execinstr: 4 } as const;
export const STT = { notype: 0, object: 1, func: 2, section: 3, file: 4 } as const;
export const STB = { local: 0, global: 1, weak: 2 } as const;
export const STV = { default: 0, internal: 1, hidden: 2, protected: 3 } as const;
export const SHN = { undef: 0, loreserve: 0xff00, abs: 0xfff1, common: 0xfff2 } as const;

/** Relocation types: `lddw`, data, and `call`; data of the GNU assembler until 2.40. */
export const R_BPF = { r64_64: 1, abs64: 2, abs32: 3, nodyld32: 4, r64_32: 10, gnuData64: 12 } as const;

export const ELF_HEADER_SIZE = 64;
export const SECTION_HEADER_SIZE = 64;
export const SYMBOL_SIZE = 24;
export const REL_SIZE = 16;
