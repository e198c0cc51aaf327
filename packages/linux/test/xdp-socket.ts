import {
  AF,
  bindSocket,
  type Descriptor,
  isReadable,
  MAP,
  Mapping,
  openSocket,
  PROT,
  setSocketOption,
  SOCK,
  socketOption,
  SOL,
  withPinned,
} from "../src/sys/index.ts";

// include/uapi/linux/if_xdp.h.
const XDP = { MMAP_OFFSETS: 1, RX_RING: 2, UMEM_REG: 4, UMEM_FILL_RING: 5, UMEM_COMPLETION_RING: 6 } as const;
const PGOFF_RX = 0;
const PGOFF_FILL = 0x1_0000_0000;
const FRAMES = 16;
const FRAME = 4096;
const XDP_COPY = 2;

export interface XdpSocket {
  readonly fd: number;
  /** The next frame; null where none comes. */
  receive(): Uint8Array | null;
  close(): void;
}

/** An AF_XDP socket in copy mode on one queue of an interface of this thread's namespace. */
export function openXdpSocket(index: number, queue: number): XdpSocket {
  const socket = openSocket(AF.XDP, SOCK.RAW);
  const memory = new Mapping({
    length: FRAMES * FRAME,
    protection: PROT.READ | PROT.WRITE,
    flags: MAP.PRIVATE | MAP.ANONYMOUS,
  });
  const registration = new DataView(new ArrayBuffer(32));
  registration.setBigUint64(0, memory.address, true);
  registration.setBigUint64(8, BigInt(memory.length), true);
  registration.setUint32(16, FRAME, true);
  const set = (option: number, value: number | Uint8Array) =>
    setSocketOption(socket.fd, { level: SOL.XDP, option }, value);
  set(XDP.UMEM_REG, new Uint8Array(registration.buffer));
  for (const ring of [XDP.UMEM_FILL_RING, XDP.UMEM_COMPLETION_RING, XDP.RX_RING]) set(ring, FRAMES);
  const offsets = new DataView(
    socketOption(socket.fd, { level: SOL.XDP, option: XDP.MMAP_OFFSETS }, 128).slice().buffer,
  );
  const at = (ring: number, field: number) => Number(offsets.getBigUint64(ring * 32 + field * 8, true));
  const fill = ringMapping(socket, PGOFF_FILL, at(2, 2) + FRAMES * 8);
  const rx = ringMapping(socket, PGOFF_RX, at(0, 2) + FRAMES * 16);
  const fillView = new DataView(fill.buffer);
  for (let frame = 0; frame < FRAMES; frame++) fillView.setBigUint64(at(2, 2) + frame * 8, BigInt(frame * FRAME), true);
  fillView.setUint32(at(2, 0), FRAMES, true);
  const address = new DataView(new ArrayBuffer(16));
  address.setUint16(0, AF.XDP, true);
  address.setUint16(2, XDP_COPY, true);
  address.setUint32(4, index, true);
  address.setUint32(8, queue, true);
  withPinned([], () => bindSocket(socket.fd, new Uint8Array(address.buffer)));
  return {
    fd: socket.fd,
    receive() {
      if (!isReadable(socket.fd, 200)) return null;
      const view = new DataView(rx.buffer);
      const consumer = view.getUint32(at(0, 1), true);
      if (view.getUint32(at(0, 0), true) === consumer) return null;
      const descriptor = at(0, 2) + (consumer % FRAMES) * 16;
      const start = Number(view.getBigUint64(descriptor, true));
      const length = view.getUint32(descriptor + 8, true);
      view.setUint32(at(0, 1), consumer + 1, true);
      return new Uint8Array(memory.buffer, start, length).slice();
    },
    close() {
      fill.close();
      rx.close();
      socket.close();
      memory.close();
    },
  };
}

function ringMapping(socket: Descriptor, offset: number, length: number): Mapping {
  return new Mapping({
    length,
    protection: PROT.READ | PROT.WRITE,
    flags: MAP.SHARED | MAP.POPULATE,
    descriptor: socket,
    offset,
  });
}
