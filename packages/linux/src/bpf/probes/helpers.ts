import { call, exit, helperByName } from "@skep/isa";
import { InconclusiveError, conclusive, tryProgram } from "./run.ts";
import { tinyProgram } from "./program-types.ts";
import { codeOf, SyscallError } from "../../sys/index.ts";

/** What the verifier says of a helper that it does not let a program call (check_helper_call, kernel/bpf/verifier.c). */
const refusals = [/invalid func /, /unknown func /, /cannot use helper/];

/**
 * Whether programs of the type may call the helper. The call has no arguments: a kernel that knows the helper complains about them, and
 * one that does not complains about the call. Throws `InconclusiveError`.
 */
export function probeHelper(type: string, helper: string): boolean {
  const found = helperByName(helper.replace(/^bpf_/, ""));
  if (!found) throw new RangeError(`no such helper: ${helper}`);
  const feature = `helper ${helper} in ${type} programs`;
  const program = tinyProgram(type);
  if (!program) return false;
  const { errno, log } = tryProgram({ ...program, code: [call(found.id), exit()] });
  if (errno === 0) return true;
  conclusive(feature, errno);
  if (refusals.some((refusal) => refusal.test(log))) return false;
  // Without a word from the verifier the program was refused as such: its type is not there.
  if (log === "") {
    if (codeOf(errno) === "EINVAL" || codeOf(errno) === "EPERM") return false;
    throw new InconclusiveError(feature, new SyscallError("bpf(PROG_LOAD)", errno));
  }
  return true;
}
