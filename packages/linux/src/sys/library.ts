/**
 * @module
 * The one place where native code is called. Every call goes through syscall(2) with a prototype of fixed arity: variadic
 * prototypes cost twice as much. Pointers are passed as addresses (`bigint`), whose owner `memory.ts` keeps alive.
 */
import koffi from "koffi";
import { SyscallError } from "./error.ts";
import { syscallNumbers, type SyscallName } from "./numbers.ts";

/** A number, or the address of pinned memory. */
export type Argument = number | bigint;

const libc = koffi.load(null);
const numbers = syscallNumbers[process.arch];

type Call = (...args: Argument[]) => number | bigint;
const long = (count: number): string[] => Array.from({ length: count }, () => "long");
const bySize: readonly Call[] = Array.from(
  { length: 7 },
  (_, size) => libc.func("syscall", "long", long(size + 1)) as Call,
);
const nativeMmap = libc.func("mmap", "void *", ["void *", "ulong", "int", "int", "int", "long"]) as Call;

/** glibc's alone: 1 where memory was given back. Null: this C library keeps nothing that it could give back on demand. */
let nativeTrim: ((pad: number) => number) | null | undefined;

/** Gives memory that was freed, and that the C library keeps for later, back to the kernel. */
export function trimAllocator(): void {
  if (nativeTrim === undefined) {
    const isGlibc = "glibcVersionRuntime" in (process.report.getReport() as { header: object }).header;
    nativeTrim = isGlibc ? (libc.func("malloc_trim", "int", ["ulong"]) as (pad: number) => number) : null;
  }
  nativeTrim?.(0);
}

/** The number of a system call on this architecture; throws where the architecture is not supported. */
export function syscallNumber(name: SyscallName): number {
  if (numbers === undefined) throw new Error(`unsupported architecture ${process.arch}: x64 and arm64 are supported`);
  return numbers[name];
}

function check(args: readonly Argument[], name: string): void {
  for (const value of args) {
    // koffi truncates what does not fit and takes fractions: both would reach the kernel as another number.
    if (typeof value === "number" && !Number.isSafeInteger(value))
      throw new RangeError(`${name}: argument ${value} is not an integer`);
  }
}

/** The raw call: the result, or the negated errno. */
export function rawSyscall(name: SyscallName, ...args: readonly Argument[]): number {
  check(args, name);
  const result = Number((bySize[args.length] as Call)(syscallNumber(name), ...args));
  return result === -1 ? -koffi.errno() : result;
}

/** Throws `SyscallError` on failure. */
export function syscall(name: SyscallName, ...args: readonly Argument[]): number {
  const result = rawSyscall(name, ...args);
  if (result < 0) throw new SyscallError(name, -result);
  return result;
}

const three = bySize[3] as Call;
const bpfNumber = numbers?.bpf ?? -1;

/** bpf(2) without argument checks or allocation: the hot path. The result, or the negated errno. */
export function rawBpf(command: number, attributes: bigint, size: number): number {
  const result = three(bpfNumber, command, attributes, size) as number;
  return result === -1 ? -koffi.errno() : result;
}

const MAP_FAILED = 0xffff_ffff_ffff_ffffn;

export interface MmapOptions {
  readonly length: number;
  readonly protection: number;
  readonly flags: number;
  /** -1 without a file. */
  readonly fd: number;
  readonly offset: number;
  /** Where it is to lie; 0n where the kernel chooses. */
  readonly address: bigint;
}

/** The address of a new mapping. Throws `SyscallError`. */
export function rawMmap({ length, protection, flags, fd, offset, address }: MmapOptions): bigint {
  check([length, protection, flags, fd, offset], "mmap");
  const mapped = BigInt(nativeMmap(address, length, protection, flags, fd, offset));
  if (mapped === MAP_FAILED) throw new SyscallError("mmap", koffi.errno());
  return mapped;
}

/** The address of a buffer's first byte. Valid only while the buffer is referenced: see `memory.ts`. */
export function rawAddress(bytes: Uint8Array): bigint {
  return bytes.byteLength === 0 ? 0n : BigInt(koffi.address(bytes));
}

/** Foreign memory as an ArrayBuffer. Whoever calls this owns the memory's life: see `mapping.ts`. */
export function rawView(address: bigint, length: number): ArrayBuffer {
  return koffi.view(address, length);
}

export interface PollHandle {
  stop(): void;
  close(): void;
  ref(): void;
  unref(): void;
}

/** Watches a descriptor in libuv's loop, on this thread. The declarations of koffi omit the callback's first argument. */
export function rawPoll(
  fd: number,
  events: { readonly readable?: boolean; readonly writable?: boolean },
  onEvent: (status: number, events: { readonly readable: boolean; readonly writable: boolean }) => void,
): PollHandle {
  return koffi.node.poll(fd, events, onEvent as unknown as () => void);
}
