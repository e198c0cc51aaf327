import { attachTypes, type AttachTypeName } from "@skep/isa";
import { Descriptor } from "../../sys/index.ts";
import { Attributes } from "../attributes.ts";

/** The beginning of BPF_LINK_CREATE's argument. */
export function linkWith(program: number, target: number, attachType: string): Attributes {
  return new Attributes()
    .u32(0, program)
    .u32(4, target)
    .u32(8, attachTypes[attachType as AttachTypeName]);
}

/** Closes what was made: 0, or the negated errno as it is. */
export function descriptorFrom(result: number): number {
  if (result < 0) return result;
  if (result > 0) new Descriptor(result, "probe").close();
  return 0;
}
