import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { linkById } from "../src/bpf/index.ts";
import { canUseBpf } from "../src/bpf/testing.ts";
import { reapTests } from "../src/net/testing.ts";

interface Made {
  readonly folder: string;
  readonly cgroup: string;
  readonly links: readonly number[];
  readonly namespace: string;
}

function alive(links: readonly number[]): boolean[] {
  return links.map((id) => {
    const link = linkById(id);
    link?.close();
    return link !== null;
  });
}

const mounts = (folder: string): number =>
  readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(folder)).length;

describe.skipIf(!canUseBpf() || process.getuid?.() !== 0)("a killed test", () => {
  test("leaves namespaces, pins, links and a cgroup, which the next run takes away", async () => {
    const script = fileURLToPath(new URL("left-behind.ts", import.meta.url));
    const child = spawn(process.execPath, ["--conditions=skep-source", "--import", "tsx", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [line] = (await once(createInterface(child.stdout), "line")) as [string];
    const { folder, cgroup, links, namespace } = JSON.parse(line) as Made;
    // While it lives nothing is taken from it.
    await reapTests();
    expect([existsSync(folder), existsSync(cgroup), existsSync(namespace)]).toEqual([true, true, true]);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(alive(links)).toEqual([true, true, true]);
    expect(mounts(folder)).toBeGreaterThan(1);
    await reapTests();
    expect([existsSync(folder), existsSync(cgroup), mounts(folder)]).toEqual([false, false, 0]);
    // The last reference of a link is dropped by a worker of the kernel's.
    for (let attempt = 0; attempt < 1000 && alive(links).includes(true); attempt++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    expect(alive(links)).toEqual([false, false, false]);
  });
});
