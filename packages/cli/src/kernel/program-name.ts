import { type LinuxProgram, programCode } from "@skep/linux";
import { typesOfProgram } from "./types.ts";

const NAME_BYTES = 15;

/** A program's whole name: the kernel keeps fifteen bytes, its types the function's name (bpftool: get_prog_full_name). */
export function fullName(program: LinuxProgram): string {
  const { info } = program;
  if (info.name.length < NAME_BYTES) return info.name;
  const types = typesOfProgram(program);
  if (types === null) return info.name;
  const typeId = programCode(program).functions[0]?.typeId ?? 0;
  const type = types.get(typeId);
  return type?.kind === "func" && type.name.startsWith(info.name) ? type.name : info.name;
}
