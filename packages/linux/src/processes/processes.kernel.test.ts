import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, readlinkSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { openNet } from "../net/index.ts";
import { removeTestFolder, testFolder, testName } from "../net/testing.ts";
import { openDescriptors } from "../sys/index.ts";
import { findCgroupRoot, isPopulated, JOIN_FAILED, openProcesses, spawnWorkload, watchCgroup } from "./index.ts";

function reason(): string | null {
  if (process.getuid?.() !== 0) return "cgroups and namespaces need root";
  try {
    findCgroupRoot();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
const missing = reason();
if (missing) console.warn(`skipped: ${missing}`);

async function output(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout?.on("data", (chunk: Buffer) => (text += chunk.toString()));
  await once(child, "close");
  return text;
}

describe.skipIf(missing !== null)("cgroups and workloads", () => {
  const name = testName("processes");
  const machine = openProcesses();
  afterEach(() => machine.deleteCgroup(name));

  test("a cgroup is made with its parents and has the kernel's id", () => {
    const made = machine.createCgroup(`${name}/a/b`);
    expect(made.path).toBe(`${machine.cgroupRoot}/${name}/a/b`);
    expect(made.id).toBe(statSync(made.path, { bigint: true }).ino);
    expect(machine.createCgroup(made.path).id).toBe(made.id);
    expect(machine.cgroupProcesses(name)).toEqual([]);
    expect(machine.cgroupProcesses(`${name}/none`)).toBeNull();
  });

  test("deleting ends what is inside and below, forks included", async () => {
    const { path } = machine.createCgroup(`${name}/inner`);
    const child = spawnWorkload({
      cgroupPath: path,
      command: "/bin/sh",
      args: ["-c", "trap '' TERM; sleep 1000 & sleep 1000 & echo up; wait"],
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child.stdout!, "data");
    const inside = machine.cgroupProcesses(name);
    expect(inside).toHaveLength(3);
    expect(inside).toContain(child.pid);
    const ended = once(child, "exit");
    await machine.deleteCgroup(name);
    expect(existsSync(join(machine.cgroupRoot, name))).toBe(false);
    expect(await ended).toEqual([null, "SIGKILL"]);
    await machine.deleteCgroup(name);
  });

  test("the root is not deleted", async () => {
    await expect(machine.deleteCgroup("")).rejects.toThrow(RangeError);
  });

  test("a workload is in its namespace and cgroup from the start, and has no descriptor of ours", async () => {
    const run = testFolder("processes");
    const net = openNet({ run });
    try {
      const space = net.createNamespace("w");
      const { path } = machine.createCgroup(name);
      const before = openDescriptors();
      const home = readlinkSync("/proc/thread-self/ns/net");
      const show = "readlink /proc/self/ns/net; cat /proc/self/cgroup; ls /proc/self/fd; echo $FOO; id -u; id -g; pwd";
      const child = spawnWorkload({
        netnsPath: space.path,
        cgroupPath: path,
        command: "sh",
        args: ["-c", show],
        env: { PATH: "/usr/bin:/bin", FOO: "with 'quotes' $and spaces" },
        cwd: "/",
        uid: 65534,
        gid: 65534,
        stdio: ["ignore", "pipe", "inherit"],
      });
      expect(readlinkSync("/proc/thread-self/ns/net")).toBe(home);
      expect(openDescriptors()).toBe(before);
      const lines = (await output(child)).trim().split("\n");
      expect(child.exitCode).toBe(0);
      expect(lines[0]).toBe(space.run(() => readlinkSync("/proc/thread-self/ns/net")));
      expect(lines.find((line) => line.startsWith("0::"))).toBe(`0::/${name}`);
      // 3 is the folder that ls reads.
      const descriptors = lines.filter((line) => /^\d$/.test(line));
      expect(descriptors).toEqual(["0", "1", "2", "3"]);
      expect(lines.slice(-4)).toEqual(["with 'quotes' $and spaces", "65534", "65534", "/"]);
    } finally {
      for (const each of net.namespaces()) net.deleteNamespace(each);
      removeTestFolder(run);
    }
  });

  test("a command that is missing and a cgroup that refuses have their own exit status", async () => {
    const { path } = machine.createCgroup(`${name}/leaf`);
    const absent = spawnWorkload({ cgroupPath: path, command: "/nonexistent", stdio: "ignore" });
    await once(absent, "exit");
    expect(absent.exitCode).toBe(127);
    // Beside a threaded cgroup a domain is invalid and takes no processes (EOPNOTSUPP).
    const threaded = machine.createCgroup(`${name}/threaded`);
    writeFileSync(join(threaded.path, "cgroup.type"), "threaded");
    const refused = spawnWorkload({ cgroupPath: path, command: "true", stdio: "ignore" });
    await once(refused, "exit");
    expect(refused.exitCode).toBe(JOIN_FAILED);
    await machine.deleteCgroup(path);
    expect(() => spawnWorkload({ cgroupPath: path, command: "true" })).toThrow("ENOENT");
  });

  test("the end of a workload is seen", async () => {
    const { path } = machine.createCgroup(name);
    const empties: string[] = [];
    const ended = new Promise<void>((resolve) => {
      watchCgroup(path, () => resolve(), { awaitFirst: true });
    });
    const stop = watchCgroup(path, () => empties.push("never"), { awaitFirst: true });
    stop();
    const child = spawnWorkload({ cgroupPath: path, command: "cat", stdio: ["pipe", "ignore", "inherit"] });
    const second = spawn("true");
    await once(second, "exit");
    child.stdin!.end();
    await ended;
    expect(isPopulated(path)).toBe(false);
    expect(empties).toEqual([]);
    await new Promise<void>((resolve) => {
      watchCgroup(path, resolve);
    });
  });

  test("the removal of a cgroup is its end", async () => {
    const { path } = machine.createCgroup(`${name}/gone`);
    const ended = new Promise<void>((resolve) => {
      watchCgroup(path, resolve, { awaitFirst: true });
    });
    await machine.deleteCgroup(path);
    await ended;
    expect(isPopulated(path)).toBeNull();
    expect(readFileSync("/proc/self/cgroup", "utf8")).toContain("0::");
  });
});
