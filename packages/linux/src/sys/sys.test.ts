import { describe, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import {
  AF,
  clockTime,
  CLOCK,
  codeOf,
  cString,
  Descriptor,
  errno,
  eventDescriptor,
  fromCString,
  inNamespace,
  isErrno,
  isReadable,
  liveMappings,
  MAP,
  Mapping,
  memoryFile,
  O,
  openDescriptors,
  openFile,
  PAGE_SIZE,
  PROT,
  processDescriptor,
  rawSyscall,
  readInto,
  receive,
  Scratch,
  sendTo,
  setNonBlocking,
  SOCK,
  socketOption,
  socketPair,
  syscall,
  SyscallError,
  watchReadable,
  withPinned,
  writeBytes,
} from "./index.ts";
import { syscallNumbers } from "./numbers.ts";

function thrown(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

describe("errors", () => {
  test("a failed call names the call, the subject and the error", () => {
    const error = thrown(() => openFile("/nonexistent/x", O.RDONLY));
    expect(error).toBeInstanceOf(SyscallError);
    expect(isErrno(error, "ENOENT")).toBe(true);
    expect(isErrno(error, "EPERM", "EACCES")).toBe(false);
    expect((error as SyscallError).message).toBe("open /nonexistent/x: ENOENT: no such file or entry");
    expect((error as SyscallError).errno).toBe(2);
  });

  test("errno belongs to the call that failed, not to an earlier one", () => {
    expect(rawSyscall("close", -1)).toBe(-errno.EBADF!);
    expect(rawSyscall("dup", 1 << 20)).toBe(-errno.EBADF!);
    expect(rawSyscall("kill", 1 << 22, 0)).toBe(-errno.ESRCH!);
    expect(rawSyscall("getpid")).toBe(process.pid);
  });

  test.each([
    [1, "EPERM"],
    [11, "EAGAIN"],
    [95, "EOPNOTSUPP"],
    [524, "ENOTSUPP"],
    [999, "E999"],
  ])("errno %i is %s", (number, code) => expect(codeOf(number)).toBe(code));
});

describe("arguments", () => {
  test.each([2 ** 60, 1.5, Number.NaN])("%d never reaches the kernel", (value) => {
    expect(() => rawSyscall("close", value)).toThrow(RangeError);
  });

  test("undefined never reaches the kernel", () => {
    expect(() => rawSyscall("close", undefined as unknown as number)).toThrow();
  });

  test("no number means two system calls on one architecture", () => {
    for (const table of Object.values(syscallNumbers)) {
      const numbers = Object.values(table);
      expect(new Set(numbers).size).toBe(numbers.length);
    }
  });

  test("a zero byte in a path is refused", () => {
    expect(() => cString("a\0b")).toThrow(RangeError);
    expect(fromCString(cString("añb"))).toBe("añb");
  });
});

describe("descriptors", () => {
  test("are counted, close once, and refuse use afterwards", () => {
    const before = openDescriptors();
    const file = openFile("/dev/null", O.RDWR);
    const second = file.duplicate();
    expect(openDescriptors()).toBe(before + 2);
    expect(second.fd).not.toBe(file.fd);
    file.close();
    file.close();
    expect(
      isErrno(
        thrown(() => file.fd),
        "EBADF",
      ),
    ).toBe(true);
    second.close();
    expect(openDescriptors()).toBe(before);
  });

  test("are close-on-exec", () => {
    const file = openFile("/dev/null", O.RDONLY);
    expect(syscall("fcntl", file.fd, 1, 0)).toBe(1);
    const copy = file.duplicate();
    expect(syscall("fcntl", copy.fd, 1, 0)).toBe(1);
    file.close();
    copy.close();
  });

  test("a number that is none is refused", () => {
    for (const fd of [-1, 1.5, Number.NaN]) expect(() => new Descriptor(fd, "file")).toThrow(RangeError);
  });

  test("closing behind the owner's back is an error, not silence", () => {
    const file = openFile("/dev/null", O.RDONLY);
    syscall("close", file.fd);
    expect(
      isErrno(
        thrown(() => file.close()),
        "EBADF",
      ),
    ).toBe(true);
  });

  test("read gives null where it would block", () => {
    const event = eventDescriptor();
    expect(readInto(event.fd, new Uint8Array(8))).toBeNull();
    writeBytes(event.fd, new Uint8Array(new BigUint64Array([3n]).buffer));
    const out = new Uint8Array(8);
    expect(readInto(event.fd, out)).toBe(8);
    expect(out[0]).toBe(3);
    event.close();
  });
});

describe("memory", () => {
  test("a buffer that only the kernel mentions survives collections", () => {
    // What breaks without pinning: garbage made between taking the address and the call.
    const file = memoryFile("pinned");
    let wrong = 0;
    for (let round = 0; round < 20_000; round++) {
      const text = `round ${round} of the buffer that nobody mentions`;
      const written = withPinned([cString(text)], (address) => {
        if (round % 100 === 0) Array.from({ length: 200 }, () => new Uint8Array(64));
        return rawSyscall("pwrite64", file.fd, address, text.length, 0);
      });
      const back = new Uint8Array(text.length);
      withPinned([back], (address) => rawSyscall("pread64", file.fd, address, back.length, 0));
      if (written !== text.length || new TextDecoder().decode(back) !== text) wrong++;
    }
    expect(wrong).toBe(0);
    file.close();
  });

  test("an empty buffer is the null pointer", () => {
    expect(withPinned([new Uint8Array(0)], (address) => address)).toBe(0n);
  });

  test("scratch memory keeps its address", () => {
    const scratch = new Scratch(64);
    expect(withPinned([scratch.bytes], (address) => address)).toBe(scratch.address);
  });

  test("a mapping shows what the file holds and is unusable once closed", () => {
    const before = liveMappings();
    const file = memoryFile("mapped");
    writeBytes(file.fd, new Uint8Array(PAGE_SIZE).fill(7));
    const mapping = new Mapping({
      length: PAGE_SIZE,
      protection: PROT.READ | PROT.WRITE,
      flags: MAP.SHARED,
      descriptor: file,
    });
    const view = new Uint8Array(mapping.buffer);
    expect(view[100]).toBe(7);
    view[100] = 9;
    const back = new Uint8Array(1);
    withPinned([back], (address) => syscall("pread64", file.fd, address, 1, 100));
    expect(back[0]).toBe(9);
    expect(liveMappings()).toBe(before + 1);
    mapping.close();
    mapping.close();
    expect(() => mapping.buffer).toThrow("unmapped");
    expect(() => mapping.address).toThrow("unmapped");
    expect(liveMappings()).toBe(before);
    file.close();
  });

  test("MAP_FAILED is an error", () => {
    expect(
      isErrno(
        thrown(() => new Mapping({ length: 0, protection: 1, flags: MAP.PRIVATE | MAP.ANONYMOUS })),
        "EINVAL",
      ),
    ).toBe(true);
  });
});

describe("sockets and events", () => {
  test("bytes pass a socket pair; an empty one would block", () => {
    const [left, right] = socketPair(AF.UNIX, SOCK.DGRAM);
    setNonBlocking(right.fd);
    const into = new Uint8Array(16);
    expect(receive(right.fd, into)).toBeNull();
    expect(isReadable(right.fd)).toBe(false);
    expect(sendTo(left.fd, new Uint8Array([1, 2, 3]))).toBe(3);
    expect(isReadable(right.fd)).toBe(true);
    expect(receive(right.fd, into)).toBe(3);
    expect([...into.subarray(0, 3)]).toEqual([1, 2, 3]);
    expect(new DataView(socketOption(left.fd, { level: 1, option: 3 }).buffer).getInt32(0, true)).toBe(SOCK.DGRAM);
    left.close();
    right.close();
  });

  test("a watch fires when the descriptor becomes readable, and not after it is closed", async () => {
    const event = eventDescriptor();
    let fired = 0;
    await new Promise<void>((resolve) => {
      const watch = watchReadable(event, () => {
        fired++;
        readInto(event.fd, new Uint8Array(8));
        watch.close();
        resolve();
      });
      writeBytes(event.fd, new Uint8Array(new BigUint64Array([1n]).buffer));
    });
    writeBytes(event.fd, new Uint8Array(new BigUint64Array([1n]).buffer));
    await new Promise((resolve) => setImmediate(resolve));
    expect(fired).toBe(1);
    event.close();
  });

  test("the descriptor of this process is not readable while it lives", () => {
    const self = processDescriptor(process.pid);
    expect(isReadable(self.fd)).toBe(false);
    self.close();
  });

  test("the monotonic clock moves forward", () => {
    const first = clockTime(CLOCK.MONOTONIC);
    const second = clockTime(CLOCK.MONOTONIC);
    expect(second).toBeGreaterThanOrEqual(first);
    expect(readFileSync("/proc/uptime", "utf8").split(" ")[0]).toMatch(/^\d/);
  });
});

describe("namespaces", () => {
  test("a missing namespace is an error and changes nothing", () => {
    const before = openDescriptors();
    expect(
      isErrno(
        thrown(() => inNamespace("/nonexistent/ns", () => 1)),
        "ENOENT",
      ),
    ).toBe(true);
    expect(openDescriptors()).toBe(before);
  });
});
