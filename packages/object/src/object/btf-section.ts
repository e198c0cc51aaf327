import { decodeBtf } from "../btf/decode.ts";
import type { BtfTypes } from "../btf/types.ts";
import { readElf } from "../elf/read.ts";

/**
 * The types of an object as they stand in its section `.BTF`, where the sizes of data sections and the places of their variables may
 * still be zero (`readObject` fills them). Null where the object has none. Throws `ObjectError`.
 */
export function readBtfSection(bytes: Uint8Array): BtfTypes | null {
  const section = readElf(bytes).sections.find(({ name }) => name === ".BTF");
  return section === undefined || section.data.length === 0 ? null : decodeBtf(section.data);
}
