import { readlinkSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { currentNamespace, inNamespace, inNewNamespace, openDescriptors } from "./index.ts";

const here = () => readlinkSync("/proc/thread-self/ns/net");
const privileged = process.getuid?.() === 0;
if (!privileged) console.warn("skipped: network namespaces need root");

describe.skipIf(!privileged)("inNamespace", () => {
  test("enters, comes back, and leaves no descriptor", () => {
    const home = here();
    const before = openDescriptors();
    const kept = inNewNamespace(() => currentNamespace());
    expect(here()).toBe(home);
    const inside = inNamespace(kept, here);
    expect(inside).not.toBe(home);
    expect(here()).toBe(home);
    expect(inNamespace(kept, () => inNamespace(`/proc/${process.pid}/ns/net`, here))).toBe(inside);
    kept.close();
    expect(openDescriptors()).toBe(before);
  });

  test("comes back when the function throws", () => {
    const home = here();
    expect(() =>
      inNewNamespace(() => {
        throw new Error("inside");
      }),
    ).toThrow("inside");
    expect(here()).toBe(home);
  });

  test("refuses an asynchronous function", () => {
    const home = here();
    expect(() => inNewNamespace(async () => 1)).toThrow(TypeError);
    expect(here()).toBe(home);
  });
});
