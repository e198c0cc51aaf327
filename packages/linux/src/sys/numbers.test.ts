import { existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { syscallNumbers } from "./numbers.ts";

/** Where each architecture's numbers are in the kernel's headers. */
const headers = {
  arm64: "/usr/include/asm-generic/unistd.h",
  x64: ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"].find((path) =>
    existsSync(path),
  ),
} as const;

/** `#define __NR_bpf 280`, and by way of `__NR3264_fcntl`. */
function defined(text: string): Map<string, number> {
  const raw = new Map(
    [...text.matchAll(/^#define __NR(3264)?_(\w+)\s+(\w+)/gm)].map((match) => [match[2] ?? "", match[3] ?? ""]),
  );
  const resolve = (name: string): number => {
    const value = raw.get(name) ?? "";
    return /^\d+$/.test(value) ? Number(value) : Number.NaN;
  };
  const plain = [...raw.keys()].map((name) => [name, resolve(name)] as const);
  const shared = [...text.matchAll(/^#define __NR3264_(\w+)\s+(\d+)/gm)].map(
    (match) => [match[1] ?? "", Number(match[2])] as const,
  );
  return new Map([...plain, ...shared]);
}

describe.each(["x64", "arm64"] as const)("system calls of %s", (architecture) => {
  const path = headers[architecture];
  const isThere = path !== undefined && existsSync(path);
  if (!isThere) console.warn(`skipped: the kernel's headers for ${architecture} are not installed`);

  test.skipIf(!isThere)("have the numbers of the kernel's headers", () => {
    const wanted = defined(readFileSync(path ?? "", "utf8"));
    const wrong = Object.entries(syscallNumbers[architecture] ?? {}).filter(
      ([name, number]) => wanted.get(name) !== number,
    );
    expect(wrong.map(([name, number]) => `${name}: ${number} instead of ${wanted.get(name)}`)).toEqual([]);
  });
});

test.each([
  ["bpf", 321, 280],
  ["perf_event_open", 298, 241],
  ["setns", 308, 268],
  ["openat", 257, 56],
  ["ppoll", 271, 73],
  ["pidfd_open", 434, 434],
] as const)("%s is %i on x64 and %i on arm64", (name, x64, arm64) => {
  expect([syscallNumbers["x64"]?.[name], syscallNumbers["arm64"]?.[name]]).toEqual([x64, arm64]);
});

test("both have the same calls", () => {
  expect(Object.keys(syscallNumbers["arm64"] ?? {}).sort()).toEqual(Object.keys(syscallNumbers["x64"] ?? {}).sort());
});
