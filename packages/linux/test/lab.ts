/**
 * @module
 * A host and pods in namespaces of their own, with interfaces between them, and sockets in any of them: what the kernel tests of this
 * package play on. Everything is made under names of its own and removed by `close`.
 */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, expect, test } from "vitest";
import type { Interface } from "@skep/machine";
import { readObject, type ObjectSpec } from "@skep/object";
import { LinuxBpf } from "../src/bpf/index.ts";
import type { LinuxCollection, LinuxLoadOptions } from "../src/bpf/index.ts";
import { reapFolders, removeTestFolder, testFolder } from "../src/net/testing.ts";
import { openNet, type LinuxNamespace, type LinuxNet } from "../src/net/index.ts";
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
  receiveFrom,
  sendTo,
  setNonBlocking,
  setSocketOption,
  SOCK,
  SOL,
  takeSocketError,
} from "../src/sys/index.ts";

/** An object of `testdata`, parsed once. */
export function testObject(name: string): ObjectSpec {
  let spec = objects.get(name);
  if (!spec) {
    spec = readObject(readFileSync(fileURLToPath(new URL(`../testdata/${name}.o`, import.meta.url))));
    objects.set(name, spec);
  }
  return spec;
}
const objects = new Map<string, ObjectSpec>();

export type Address = readonly [number, number, number, number];

/** struct sockaddr_in. */
export function sockaddr(address: Address, port: number): Uint8Array {
  return new Uint8Array([AF.INET, 0, port >> 8, port & 255, ...address, 0, 0, 0, 0, 0, 0, 0, 0]);
}

/** Address and port of a struct sockaddr_in, as text. */
export function readSockaddr(bytes: Uint8Array): string {
  return `${[...bytes.subarray(4, 8)].join(".")}:${((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)}`;
}

/** A number of a counters' array: `counts` of the test programs. */
export function countOf(collection: LinuxCollection, index: number): number {
  const value = collection.maps["counts"]?.get(new Uint8Array(new Uint32Array([index]).buffer));
  if (!value) throw new Error(`no counter ${index}`);
  return Number(new DataView(value.buffer).getBigInt64(0, true));
}

export const u32 = (value: number): Uint8Array => new Uint8Array(new Uint32Array([value]).buffer);

/** Two namespaces and the veth pair between them. */
export interface Pair {
  readonly namespace: LinuxNamespace;
  readonly near: Interface;
  readonly far: Interface;
  readonly nearAddress: Address;
  readonly farAddress: Address;
}

const WAIT = 150;

export class Lab {
  readonly run: string;
  readonly name: string;
  readonly host: LinuxNamespace;
  readonly net: LinuxNet;
  readonly bpf: LinuxBpf;
  readonly #names: string[] = [];
  readonly #outer: LinuxNet;
  #open: { close(): void }[] = [];

  constructor(name: string) {
    reapFolders();
    this.name = `skep-${name}-${process.pid}`;
    this.run = testFolder(name);
    this.#outer = openNet({ run: this.run });
    this.host = this.namespace("host");
    this.net = openNet({ run: this.run, netns: this.host.path });
    this.bpf = new LinuxBpf({ netns: this.host.path });
  }

  namespace(name: string): LinuxNamespace {
    const full = `${this.name}-${name}`;
    this.#names.push(full);
    return this.#outer.createNamespace(full);
  }

  /** A pod `10.77.number.2` at the host's `10.77.number.1`, both ends up and knowing each other. */
  pair(number: number): Pair {
    const namespace = this.namespace(`pod${number}`);
    // Only new interfaces take the default: IPv6 would send packets of its own, and programs count every packet.
    for (const each of [this.net.host, namespace]) each.setSysctl("net/ipv6/conf/default/disable_ipv6", "1");
    const { host: near, peer: far } = this.net.host.createVeth(`veth${number}`, { namespace, name: "eth0" });
    const nearAddress: Address = [10, 77, number, 1];
    const farAddress: Address = [10, 77, number, 2];
    const prefix = (address: Address) => ({
      address: { family: 4 as const, bytes: new Uint8Array(address) },
      length: 24,
    });
    this.net.host.addAddress(near.index, prefix(nearAddress));
    namespace.addAddress(far.index, prefix(farAddress));
    this.net.host.setUp(near.index, true);
    namespace.setUp(far.index, true);
    this.net.host.addNeighbour(near.index, prefix(farAddress).address, far.mac);
    namespace.addNeighbour(far.index, prefix(nearAddress).address, near.mac);
    return { namespace, near, far, nearAddress, farAddress };
  }

  /** Closed by `reset`, after what was kept later. */
  keep<T extends { close(): void }>(thing: T): T {
    this.#open.push(thing);
    return thing;
  }

  load(object: string, programs: readonly string[], options: LinuxLoadOptions = {}): LinuxCollection {
    return this.keep(this.bpf.load(testObject(object), { programs, ...options }));
  }

  /** Closes what was kept: at the end of every test. */
  reset(): void {
    for (const each of this.#open.splice(0).reverse()) each.close();
  }

  close(): void {
    this.reset();
    for (const name of this.#names) this.#outer.deleteNamespace(name);
    removeTestFolder(this.run);
  }

  /** Without checksums: a veth leaves them to a device that is not there, and a frame that XDP forwards keeps what it has. */
  udp(namespace: LinuxNamespace, address: Address = [0, 0, 0, 0], port = 0): Descriptor {
    const socket = this.keep(inNamespace(namespace.path, () => openBound(SOCK.DGRAM, address, port)));
    const SO_NO_CHECK = 11;
    setSocketOption(socket.fd, { level: SOL.SOCKET, option: SO_NO_CHECK }, 1);
    return socket;
  }

  listen(namespace: LinuxNamespace, address: Address, port: number): Descriptor {
    const socket = this.keep(inNamespace(namespace.path, () => openBound(SOCK.STREAM, address, port)));
    listenSocket(socket.fd);
    setNonBlocking(socket.fd);
    return socket;
  }

  /** A connected socket, or the error's name; `ETIMEDOUT` where nothing answers. */
  connect(namespace: LinuxNamespace, address: Address, port: number): Descriptor | string {
    const socket = this.keep(inNamespace(namespace.path, () => openSocket(AF.INET, SOCK.STREAM)));
    setNonBlocking(socket.fd);
    try {
      connectSocket(socket.fd, sockaddr(address, port));
    } catch (error) {
      if (!isErrno(error, "EINPROGRESS")) return isErrno(error) ? error.code : errorCode(error);
    }
    if (!isWritable(socket.fd, WAIT)) return "ETIMEDOUT";
    try {
      takeSocketError(socket.fd);
    } catch (error) {
      return errorCode(error);
    }
    return socket;
  }

  accept(listener: Descriptor): Descriptor | null {
    const accepted = isReadable(listener.fd, WAIT) ? acceptSocket(listener.fd) : null;
    return accepted && this.keep(accepted);
  }
}

function errorCode(error: unknown): string {
  if (error instanceof Error && "code" in error) return String(error.code);
  throw error;
}

function openBound(type: number, address: Address, port: number): Descriptor {
  const socket = openSocket(AF.INET, type);
  bindSocket(socket.fd, sockaddr(address, port));
  return socket;
}

/** The next datagram's text and sender; null where none comes. */
export function nextDatagram(socket: Descriptor): { readonly text: string; readonly from: string } | null {
  if (!isReadable(socket.fd, WAIT)) return null;
  const buffer = new Uint8Array(2048);
  const got = receiveFrom(socket.fd, buffer);
  return got && { text: new TextDecoder().decode(buffer.subarray(0, got.length)), from: readSockaddr(got.from) };
}

export function sendText(socket: Descriptor, text: string, to?: Uint8Array): void {
  sendTo(socket.fd, new TextEncoder().encode(text), to ? { to } : {});
}

const rows: string[] = [];

/** A row of the table of what the kernel does: a test that is listed with its outcome. */
export function row(name: string, run: () => string | void | Promise<string | void>): void {
  test(name, async () => {
    let outcome = "FAILED";
    try {
      outcome = (await run()) ?? "works";
    } finally {
      rows.push(`${name.padEnd(72)} ${outcome}`);
    }
  });
}

/** A row that this or another kernel refuses: with the error of that name, or else it works. */
export function refusedRow(name: string, error: string, run: () => void): void {
  row(name, () => {
    try {
      run();
    } catch (refusal) {
      expect(refusal).toMatchObject({ name: error });
      return `refused: ${(refusal as Error).message}`;
    }
  });
}

/** Prints the rows of this file. */
export function printTable(title: string): void {
  afterAll(() => {
    if (rows.length > 0) console.log([`${title}:`, ...rows.splice(0)].join("\n  "));
  });
}
