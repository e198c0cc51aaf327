import { CALL, call } from "@skep/isa";
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { effectiveCapabilities } from "../sys/index.ts";
import { batchOf } from "./batch.ts";
import {
  capabilitiesOfType,
  isInitialUserNamespace,
  MissingCapabilityError,
  missingCapabilities,
  type Capability,
} from "./capabilities.ts";
import { encodeVariable } from "./config.ts";
import { parseCpuList } from "./cpus.ts";
import { kernelName } from "./attributes.ts";
import { addressOf } from "./kernel-symbols.ts";
import { ringSize } from "./map-create.ts";
import { hasOptionalAttachType, withOlderHelpers } from "./old-kernels.ts";
import { programSpec } from "./testing.ts";

test.each([
  ["0", [0]],
  ["0-3", [0, 1, 2, 3]],
  ["0-1,4,6-7\n", [0, 1, 4, 6, 7]],
  ["", []],
])("processors %j", (text, numbers) => expect(parseCpuList(text)).toEqual(numbers));

test.each([
  ["plain", "plain"],
  ["with-dash", "with_dash"],
  ["exactly15bytes_", "exactly15bytes_"],
  ["longer_than_fifteen", "longer_than_fif"],
  [".rodata.str", ".rodata.str"],
])("kernel name of %s", (name, cut) => expect(kernelName(name)).toBe(cut));

test.each([
  [1, 4096],
  [4096, 4096],
  [4097, 8192],
  [1 << 20, 1 << 20],
])("ring of %i bytes", (wanted, size) => expect(ringSize(wanted)).toBe(size));

test.each([
  ["probe_read_kernel", 4],
  ["probe_read_user", 4],
  ["probe_read_kernel_str", 45],
  ["probe_read_user_str", 45],
  ["probe_read", 4],
  ["map_lookup_elem", 1],
] as const)("on a kernel before 5.5 %s is helper %i", (name, older) => {
  const [insn, other] = withOlderHelpers([call(name), { ...call(113), src: 2 }]);
  expect(insn).toMatchObject({ opcode: CALL, imm: older });
  // The number of a kernel function is none of a helper.
  expect(other).toMatchObject({ imm: 113, src: 2 });
});

test.each([
  ["xdp", "xdp", true],
  ["cgroup_skb", "cgroup_inet_ingress", true],
  ["cgroup_sock_addr", "cgroup_inet4_connect", false],
  ["sched_cls", undefined, false],
])("a %s program of %s does without its attach type: %s", (type, attachType, optional) => {
  const spec = programSpec({ type, code: [], ...(attachType === undefined ? {} : { attachType }) });
  expect(hasOptionalAttachType(spec)).toBe(optional);
});

describe("capabilities", () => {
  const set = (...names: number[]) => names.reduce((sum, bit) => sum | (1n << BigInt(bit)), 0n);
  test.each<[string, bigint, Capability[], Capability[]]>([
    ["all there", set(39, 12), ["CAP_BPF", "CAP_NET_ADMIN"], []],
    ["one missing", set(39), ["CAP_BPF", "CAP_NET_ADMIN"], ["CAP_NET_ADMIN"]],
    ["CAP_SYS_ADMIN stands for BPF's own", set(21), ["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"], []],
    ["but not for others", set(21), ["CAP_SYS_RESOURCE"], ["CAP_SYS_RESOURCE"]],
  ])("%s", (_, effective, wanted, missing) => {
    expect(missingCapabilities(wanted, { effective, initial: true })).toEqual(missing);
  });

  test("count only in the initial user namespace", () => {
    expect(missingCapabilities(["CAP_BPF"], { effective: ~0n, initial: false })).toEqual(["CAP_BPF"]);
    expect(isInitialUserNamespace("         0          0 4294967295\n")).toBe(true);
    expect(isInitialUserNamespace("         0       1000          1\n")).toBe(false);
  });

  test("are those of the status file", () => {
    const text = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/thread-self/status", "utf8"))?.[1];
    expect(effectiveCapabilities()).toBe(BigInt(`0x${text}`));
  });

  test("a missing one is named", () => {
    const error = new MissingCapabilityError("loading count", ["CAP_BPF", "CAP_NET_ADMIN"]);
    expect(error.message).toBe("loading count needs CAP_BPF and CAP_NET_ADMIN");
    expect(error.code).toBe("EPERM");
  });

  test("differ by the program's type", () => {
    expect(capabilitiesOfType("xdp")).toEqual(["CAP_BPF", "CAP_NET_ADMIN"]);
    expect(capabilitiesOfType("kprobe")).toEqual(["CAP_BPF", "CAP_PERFMON"]);
    expect(capabilitiesOfType("socket_filter")).toEqual(["CAP_BPF"]);
  });
});

test.each([
  [true, 1, [1]],
  [258, 2, [2, 1]],
  [-1, 4, [255, 255, 255, 255]],
  [2n ** 64n - 1n, 8, [255, 255, 255, 255, 255, 255, 255, 255]],
  [new Uint8Array([9, 8]), 2, [9, 8]],
] as const)("config value %s in %i bytes", (value, size, bytes) => {
  expect([...encodeVariable("x", value, size)]).toEqual([...bytes]);
});

test("kernel symbols: first of a name, modules without their suffix", () => {
  const text = "ffffffff81000000 T _text\nffffffff81000010 t same\nffffffff81000020 t same\n00000 t m\t[mod]\n";
  expect(addressOf("_text", text)).toBe(0xffffffff81000000n);
  expect(addressOf("same", text)).toBe(0xffffffff81000010n);
  expect(addressOf("m", text)).toBe(0n);
  expect(addressOf("text", text)).toBeNull();
});

test.each([
  ["hash", "lazy"],
  ["lpm_trie", "snapshot"],
  ["sockhash", "none"],
])("batches of %s are %s", (type, kind) => expect(batchOf(type)).toBe(kind));
