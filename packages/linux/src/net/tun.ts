/**
 * @module
 * TUN and TAP devices: interfaces whose other end is a descriptor (Documentation/networking/tuntap.rst).
 */
import {
  type Descriptor,
  isErrno,
  ioctlBuffer,
  ioctlValue,
  O,
  openFile,
  readInto,
  setNonBlocking,
  type Watch,
  watchReadable,
  writeBytes,
} from "../sys/index.ts";
import { needCapability } from "./privilege.ts";

const requests = { setInterface: 0x400454ca, setPersistent: 0x400454cb, setOwner: 0x400454cc, setGroup: 0x400454ce };
const modes = { tun: 0x0001, tap: 0x0002 };
const flags = { noPacketInfo: 0x1000, multiQueue: 0x0100 };
const nameSize = 16;

export interface TunOptions {
  /** Default: the kernel chooses `tun0` ... */
  readonly name?: string;
  /** `tun` carries IP packets, `tap` Ethernet frames. */
  readonly mode: "tun" | "tap";
  readonly multiQueue?: boolean;
  /** Stays when the descriptor is closed. */
  readonly persistent?: boolean;
  /** A user that may open it without privilege. */
  readonly owner?: number;
  readonly group?: number;
}

/** The descriptor's end of a TUN or TAP device. */
export class TunDevice {
  readonly name: string;
  readonly #descriptor: Descriptor;
  readonly #buffer = new Uint8Array(65_536);

  constructor(name: string, descriptor: Descriptor) {
    this.name = name;
    this.#descriptor = descriptor;
  }

  /** The next packet that the interface sent, or null where none waits. */
  read(): Uint8Array | null {
    const length = readInto(this.#descriptor.fd, this.#buffer);
    return length === null ? null : this.#buffer.slice(0, length);
  }

  /** A packet that the interface receives. */
  write(packet: Uint8Array): void {
    writeBytes(this.#descriptor.fd, packet);
  }

  /** Calls `onPacket` for every packet that the interface sends, until closed. */
  watch(onPacket: (packet: Uint8Array) => void): Watch {
    return watchReadable(this.#descriptor, () => {
      while (!this.#descriptor.isClosed) {
        const packet = this.read();
        if (!packet) return;
        onPacket(packet);
      }
    });
  }

  close(): void {
    this.#descriptor.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A device that is persistent and owned by this user needs no capability. */
function claim(descriptor: Descriptor, request: Uint8Array, name: string): void {
  try {
    ioctlBuffer(descriptor.fd, requests.setInterface, request, `TUNSETIFF ${name}`);
  } catch (error) {
    if (isErrno(error, "EPERM")) needCapability(`making the device ${name}`, "CAP_NET_ADMIN");
    throw error;
  }
}

/** Makes the device in the namespace that this thread is in, or opens it where it is there and its mode the same. */
export function openTun(options: TunOptions): TunDevice {
  const { name = "", mode, multiQueue, persistent, owner, group } = options;
  if (new TextEncoder().encode(name).length >= nameSize) throw new RangeError(`${name} is too long for an interface`);
  const descriptor = openFile("/dev/net/tun", O.RDWR, { kind: "tun" });
  try {
    // struct ifreq: the name, and the flags in its union.
    const request = new Uint8Array(40);
    request.set(new TextEncoder().encode(name));
    const bits = modes[mode] | flags.noPacketInfo | (multiQueue ? flags.multiQueue : 0);
    new DataView(request.buffer).setUint16(nameSize, bits, true);
    claim(descriptor, request, name);
    if (owner !== undefined) ioctlValue(descriptor.fd, requests.setOwner, owner, "TUNSETOWNER");
    if (group !== undefined) ioctlValue(descriptor.fd, requests.setGroup, group, "TUNSETGROUP");
    if (persistent !== undefined)
      ioctlValue(descriptor.fd, requests.setPersistent, persistent ? 1 : 0, "TUNSETPERSIST");
    setNonBlocking(descriptor.fd);
    const given = request.subarray(0, nameSize);
    return new TunDevice(new TextDecoder().decode(given.subarray(0, given.indexOf(0))), descriptor);
  } catch (error) {
    descriptor.close();
    throw error;
  }
}
