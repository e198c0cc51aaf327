/**
 * @module
 * What an interface leaves to the hardware (linux/ethtool.h): of a virtual one, what goes on unfinished inside of the machine.
 */
import { AF, openSocket, rawSyscall, SOCK, SyscallError, withPinned } from "../src/sys/index.ts";

const SIOCETHTOOL = 0x8946;
const [GTXCSUM, STXCSUM] = [0x16, 0x17];
const NAME_BYTES = 16;
const IFREQ_BYTES = 40;

/** struct ifreq with a struct ethtool_value behind its pointer; gives the value that is there then. */
function ethtool(name: string, command: number, value: number): number {
  const asked = new Uint32Array([command, value]);
  const bytes = new Uint8Array(asked.buffer);
  const request = new Uint8Array(IFREQ_BYTES);
  request.set(new TextEncoder().encode(name).subarray(0, NAME_BYTES - 1));
  const socket = openSocket(AF.INET, SOCK.DGRAM);
  try {
    const result = withPinned([request, bytes], (ifreq, at) => {
      new DataView(request.buffer).setBigUint64(NAME_BYTES, BigInt(at ?? 0), true);
      return rawSyscall("ioctl", socket.fd, SIOCETHTOOL, ifreq);
    });
    if (result < 0) throw new SyscallError("ioctl", -result, { detail: `(SIOCETHTOOL) of ${name}` });
    return asked[1] ?? 0;
  } finally {
    socket.close();
  }
}

/** Whether the interface of this thread's namespace sends packets whose checksums are yet to be made. */
export const sendsUnsummed = (name: string): boolean => ethtool(name, GTXCSUM, 0) !== 0;

/** Without them it sends no packets that are yet to be cut, either. */
export function setSendsUnsummed(name: string, on: boolean): void {
  ethtool(name, STXCSUM, on ? 1 : 0);
}
