import { describe, expect, test } from "vitest";
import { cgroupPath, findCgroupRoot, NoCgroupError } from "./cgroup.ts";

const hybrid = `30 20 0:26 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw
31 30 0:27 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
39 30 0:35 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
`;
const unified = `30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n`;
const partial = `40 20 0:26 /system.slice /mnt/part rw - cgroup2 cgroup2 rw\n`;

describe("the mount of cgroup2", () => {
  test.each([
    ["beside version 1", hybrid, "/sys/fs/cgroup/unified"],
    ["alone", unified, "/sys/fs/cgroup"],
    ["the whole hierarchy before a part", partial + unified, "/sys/fs/cgroup"],
    ["a part where there is nothing else", partial, "/mnt/part"],
    ["with a space in its name", String.raw`1 2 0:3 / /a\040b rw - cgroup2 cgroup2 rw`, "/a b"],
  ])("%s", (_, mountinfo, root) => expect(findCgroupRoot(mountinfo)).toBe(root));

  test("missing", () => expect(() => findCgroupRoot("1 2 0:3 / / rw - ext4 x rw\n")).toThrow(NoCgroupError));
});

describe("paths of cgroups", () => {
  test.each([
    ["a/b", "/cg/a/b"],
    ["/a/b", "/cg/a/b"],
    ["/cg/a", "/cg/a"],
    ["/cg", "/cg"],
    ["", "/cg"],
    ["/cgroup", "/cg/cgroup"],
  ])("%j", (given, absolute) => expect(cgroupPath("/cg", given)).toBe(absolute));

  test.each(["..", "../x", "/cg/../x", "a/../../x"])("%j leaves the root", (path) =>
    expect(() => cgroupPath("/cg", path)).toThrow(RangeError),
  );
});
