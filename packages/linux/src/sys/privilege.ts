import { checked } from "./file.ts";
import { rawSyscall } from "./library.ts";
import { keepUntilHere, Scratch } from "./memory.ts";

// _LINUX_CAPABILITY_VERSION_3: two sets of 32 bits, each effective, permitted, inheritable (include/uapi/linux/capability.h).
const VERSION_3 = 0x20080522;
const header = new Scratch(8);
const sets = new Scratch(24);

/** The capabilities that this thread has in force (capget(2)), by bit. */
export function effectiveCapabilities(): bigint {
  header.view.setUint32(0, VERSION_3, true);
  header.view.setInt32(4, 0, true);
  checked("capget", rawSyscall("capget", header.address, sets.address));
  keepUntilHere(sets);
  return BigInt(sets.view.getUint32(0, true)) | (BigInt(sets.view.getUint32(12, true)) << 32n);
}
