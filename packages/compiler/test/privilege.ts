import { LinuxBpf, MissingCapabilityError } from "@skep/linux";

/** Whether this process may use BPF; says aloud what is missing. */
export function canUseBpf(): boolean {
  try {
    new LinuxBpf()
      .createMap({ name: "probe", type: "array", keySize: 4, valueSize: 4, maxEntries: 1, flags: 0, pinning: "none" })
      .close();
    return true;
  } catch (error) {
    if (!(error instanceof MissingCapabilityError)) throw error;
    console.warn(`skipped: the kernel's tests need more privilege: ${error.message}`);
    return false;
  }
}
