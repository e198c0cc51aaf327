import { readFileSync, writeFileSync } from "node:fs";
import {
  endpointOf,
  endpointText,
  hooksSuite,
  type SocketGround,
  streamsSuite,
  type TestSocket,
} from "@skep/machine/suite";
import { describe } from "vitest";
import { LinuxBpf } from "../src/bpf/index.ts";
import { canUseBpf } from "../src/bpf/testing.ts";
import { openNet } from "../src/net/index.ts";
import { removeTestFolder, testFolder, testName } from "../src/net/testing.ts";
import { openProcesses } from "../src/processes/index.ts";
import {
  acceptSocket,
  AF,
  bindSocket,
  connectSocket,
  type Descriptor,
  inNamespace,
  isErrno,
  isReadable,
  isWritable,
  listenSocket,
  openSocket,
  peerName,
  receiveFrom,
  sendTo,
  setNonBlocking,
  SOCK,
  socketName,
  takeSocketError,
} from "../src/sys/index.ts";

const WAIT = 200;

/** struct sockaddr_in or sockaddr_in6. */
function sockaddr(text: string): Uint8Array {
  const { address, port } = endpointOf(text);
  const bytes = new Uint8Array(address.family === 4 ? 16 : 28);
  bytes[0] = address.family === 4 ? AF.INET : AF.INET6;
  new DataView(bytes.buffer).setUint16(2, port);
  bytes.set(address.bytes, address.family === 4 ? 4 : 8);
  return bytes;
}

function shown(bytes: Uint8Array): string {
  const port = new DataView(bytes.buffer, bytes.byteOffset).getUint16(2);
  return endpointText(bytes[0] === AF.INET ? bytes.slice(4, 8) : bytes.slice(8, 24), port);
}

class KernelSocket implements TestSocket {
  readonly #socket: Descriptor;
  readonly #kind: "tcp" | "udp";
  #isOpen = true;

  constructor(socket: Descriptor, kind: "tcp" | "udp") {
    this.#socket = socket;
    this.#kind = kind;
    setNonBlocking(socket.fd);
  }

  get descriptor(): number {
    return this.#socket.fd;
  }
  bind(to: string): void {
    bindSocket(this.#socket.fd, sockaddr(to));
  }
  listen(): void {
    listenSocket(this.#socket.fd);
  }
  connect(to: string): Promise<void> {
    try {
      connectSocket(this.#socket.fd, sockaddr(to));
    } catch (error) {
      if (!isErrno(error, "EINPROGRESS")) throw error;
      if (!isWritable(this.#socket.fd, WAIT)) throw new Error(`nobody answers at ${to}`, { cause: error });
      takeSocketError(this.#socket.fd);
    }
    return Promise.resolve();
  }
  accept(): Promise<TestSocket> {
    const accepted = isReadable(this.#socket.fd, WAIT) ? acceptSocket(this.#socket.fd) : null;
    if (!accepted) throw new Error("nobody came");
    return Promise.resolve(new KernelSocket(accepted, "tcp"));
  }
  send(text: string, to?: string): void {
    sendTo(this.#socket.fd, new TextEncoder().encode(text), to === undefined ? {} : { to: sockaddr(to) });
  }
  receive(): Promise<{ text: string; from: string } | null> {
    const buffer = new Uint8Array(2048);
    const got = isReadable(this.#socket.fd, WAIT) ? receiveFrom(this.#socket.fd, buffer) : null;
    if (!got || got.length === 0) return Promise.resolve(null);
    const text = new TextDecoder().decode(buffer.subarray(0, got.length));
    return Promise.resolve({ text, from: this.#kind === "udp" ? shown(got.from) : this.peer() });
  }
  name(): string {
    return shown(socketName(this.#socket.fd));
  }
  peer(): string {
    return shown(peerName(this.#socket.fd));
  }
  close(): void {
    if (this.#isOpen) this.#socket.close();
    this.#isOpen = false;
  }
}

let count = 0;

function open(): SocketGround {
  const name = testName(`hooks${count++}`);
  const run = testFolder("hooks");
  const net = openNet({ run });
  const processes = openProcesses();
  const space = net.createNamespace(name);
  const { path } = processes.createCgroup(`${name}/inside`);
  const outside = processes.createCgroup(`${name}/outside`).path;
  const home = /^0::(.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1] ?? "/";
  const make = (cgroup: string, kind: "tcp" | "udp", family: 4 | 6): TestSocket => {
    // A socket belongs to the cgroup of the process that makes it, for good.
    writeFileSync(`${cgroup}/cgroup.procs`, String(process.pid));
    try {
      const [domain, type] = [family === 4 ? AF.INET : AF.INET6, kind === "tcp" ? SOCK.STREAM : SOCK.DGRAM];
      return new KernelSocket(
        inNamespace(space.path, () => openSocket(domain, type)),
        kind,
      );
    } finally {
      writeFileSync(`${processes.cgroupRoot}${home}/cgroup.procs`, String(process.pid));
    }
  };
  return {
    machine: { bpf: new LinuxBpf() },
    cgroup: path,
    namespace: space.path,
    socket: (kind, family) => make(path, kind, family),
    stranger: (kind, family) => make(outside, kind, family),
    settle: () => new Promise((resolve) => setTimeout(resolve, 250)),
    async close() {
      net.deleteNamespace(name);
      await processes.deleteCgroup(name);
      removeTestFolder(run);
    },
  };
}

describe.skipIf(process.getuid?.() !== 0 || !canUseBpf())("conformance", () => {
  hooksSuite("linux", open);
  streamsSuite("streams of linux", open);
});
