/**
 * @module
 * Frames as an interface sends and receives them (packet(7)): what a capture reads, and what a test puts on the wire.
 */
import {
  AF,
  bindSocket,
  type Descriptor,
  ioctlBuffer,
  MSG,
  openSocket,
  receiveFrom,
  sendTo,
  setSocketOption,
  SO,
  SOCK,
  SOL,
  SyscallError,
  type Watch,
  watchReadable,
} from "../sys/index.ts";
import { needCapability } from "./privilege.ts";

const ETH_P_ALL = 0x0003;
/** `sll_pkttype` of what the interface sends (linux/if_packet.h). */
const PACKET_OUTGOING = 4;
const RECEIVE_BYTES = 8 << 20;

/** _IOR(0x89, 7, long long[2]) of linux/sockios.h: when the last packet that was read passed; its first call asks for that. */
const SIOCGSTAMPNS = 0x8010_8907;

export interface Frame {
  readonly bytes: Uint8Array;
  readonly direction: "in" | "out";
  /** Nanoseconds since 1970, where `PacketSocketOptions.timestamps` asks for it. */
  readonly time?: bigint;
}

export interface PacketSocketOptions {
  /** The kernel's clock when each frame passed. Default false: one call less for each. */
  readonly timestamps?: boolean;
}

/** One interface's frames, both directions. Not blocking. */
export class PacketSocket {
  readonly #descriptor: Descriptor;
  readonly #buffer = new Uint8Array(65_536);

  readonly #stamp: BigInt64Array | null;

  /** Takes over the descriptor. */
  constructor(descriptor: Descriptor, { timestamps = false }: PacketSocketOptions = {}) {
    this.#descriptor = descriptor;
    this.#stamp = timestamps ? new BigInt64Array(2) : null;
  }

  /** The next frame, or null where none waits. The bytes are a copy. */
  read(): Frame | null {
    const received = receiveFrom(this.#descriptor.fd, this.#buffer, MSG.DONTWAIT);
    if (!received) return null;
    const { length, from } = received;
    const direction = from[10] === PACKET_OUTGOING ? "out" : "in";
    const frame: Frame = { bytes: this.#buffer.slice(0, length), direction };
    return this.#stamp ? { ...frame, time: this.#passed(this.#stamp) } : frame;
  }

  #passed(stamp: BigInt64Array): bigint {
    ioctlBuffer(this.#descriptor.fd, SIOCGSTAMPNS, new Uint8Array(stamp.buffer), "SIOCGSTAMPNS");
    const [seconds = 0n, nanoseconds = 0n] = stamp;
    return seconds * 1_000_000_000n + nanoseconds;
  }

  /** Sends a whole Ethernet frame; false where the queue is full. Throws the kernel's errors (ENETDOWN, EMSGSIZE). */
  write(frame: Uint8Array): boolean {
    return sendTo(this.#descriptor.fd, frame, { flags: MSG.DONTWAIT }) !== null;
  }

  /** Calls `onFrame` for every frame, until closed. */
  watch(onFrame: (frame: Frame) => void): Watch {
    return watchReadable(this.#descriptor, () => {
      while (!this.#descriptor.isClosed) {
        const frame = this.read();
        if (!frame) return;
        onFrame(frame);
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

/** Nothing was read yet, which is what the kernel says. */
function askForTimes(fd: number): void {
  try {
    ioctlBuffer(fd, SIOCGSTAMPNS, new Uint8Array(16), "SIOCGSTAMPNS");
  } catch (error) {
    if (!(error instanceof SyscallError) || error.code !== "ENOENT") throw error;
  }
}

/** Opens the interface with that index in the namespace that this thread is in. Throws `MissingCapabilityError` without CAP_NET_RAW. */
export function openPacketSocket(index: number, options: PacketSocketOptions = {}): PacketSocket {
  needCapability(`reading the frames of interface ${index}`, "CAP_NET_RAW");
  const descriptor = openSocket(AF.PACKET, SOCK.RAW | SOCK.NONBLOCK, 0);
  try {
    setSocketOption(descriptor.fd, { level: SOL.SOCKET, option: SO.RCVBUFFORCE }, RECEIVE_BYTES);
    if (options.timestamps) askForTimes(descriptor.fd);
    // struct sockaddr_ll: the protocol is big-endian.
    const address = new Uint8Array(20);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF.PACKET, true);
    view.setUint16(2, ETH_P_ALL);
    view.setInt32(4, index, true);
    bindSocket(descriptor.fd, address);
    return new PacketSocket(descriptor, options);
  } catch (error) {
    descriptor.close();
    throw error;
  }
}
