/**
 * @module
 * What a process reads and writes below /proc/sys, past the programs of its cgroup (`struct bpf_sysctl`; kernel/bpf/cgroup.c:
 * __cgroup_bpf_run_filter_sysctl).
 */
import type { SpecialHelper } from "@skep/vm";
import { errorOf } from "../error.ts";
import type { Cgroup } from "../processes.ts";
import type { SimNamespace } from "./namespace.ts";

const [E2BIG, EINVAL, EPERM, ENOENT] = [7, 22, 1, 2];
/** BPF_F_SYSCTL_BASE_NAME */
const BASE_NAME = 1n;

interface Access {
  readonly name: string;
  /** What is there, with its line's end. */
  readonly current: string;
  /** Null: it is read. */
  written: string | null;
}

/** The text with its zero, as much as fits; the length, or -E2BIG where it was cut. */
const copied =
  (of: (args: readonly bigint[]) => string | null): SpecialHelper =>
  ({ args, write }) => {
    const text = of(args);
    if (text === null) return -EINVAL;
    const [, to = 0n, size = 0n] = args;
    if (size === 0n) return -EINVAL;
    const bytes = new TextEncoder().encode(text);
    const shown = bytes.subarray(0, Number(size) - 1);
    write(to, Uint8Array.of(...shown, ...new Uint8Array(Number(size) - shown.length)));
    return shown.length < bytes.length ? -E2BIG : bytes.length;
  };

/** Helpers 101 to 104, for one access. */
function helpersOf(access: Access): Readonly<Record<string, SpecialHelper>> {
  return {
    sysctl_get_name: copied(([, , , flags = 0n]) => {
      if ((flags & ~BASE_NAME) !== 0n) return null;
      return flags === BASE_NAME ? (access.name.split("/").at(-1) ?? "") : access.name;
    }),
    sysctl_get_current_value: copied(() => access.current),
    sysctl_get_new_value: copied(() => access.written),
    sysctl_set_new_value: ({ args: [, from = 0n, size = 0n], read }) => {
      if (access.written === null || size === 0n) return -EINVAL;
      access.written = new TextDecoder().decode(read(from, Number(size))).replace(/\0.*$/s, "");
      return 0;
    },
  };
}

function run(namespace: SimNamespace, cgroup: Cgroup | null, access: Access): void {
  const { bpf } = namespace.network;
  const isWrite = access.written !== null;
  let answer = 0;
  for (const link of cgroup?.effective("cgroup_sysctl") ?? []) {
    const context = new Uint8Array(8);
    context[0] = isWrite ? 1 : 0;
    const host = { ...namespace.network.hostOf(namespace), special: helpersOf(access), place: { returned: answer } };
    const result = bpf.run(link.program.program, { context, host });
    if (result.setReturn !== null) answer = result.setReturn;
    if ((result.returned & 1) === 0 && answer >= 0) answer = -EPERM;
  }
  if (answer < 0) throw errorOf(-answer, `${access.name} is refused by a program`);
}

/** read(2). Throws ENOENT for a name that has no value, or what a program answers. */
export function readSysctl(namespace: SimNamespace, name: string, cgroup: Cgroup | null): string {
  const value = namespace.sysctl(name);
  if (value === null) throw errorOf(ENOENT, name);
  run(namespace, cgroup, { name, current: `${value}\n`, written: null });
  return value;
}

/** write(2): what programs let through, or put in its place. Throws what one answers. */
export function writeSysctl(
  namespace: SimNamespace,
  name: string,
  what: { readonly value: string; readonly cgroup: Cgroup | null },
): void {
  const access: Access = { name, current: `${namespace.sysctl(name) ?? ""}\n`, written: what.value };
  run(namespace, what.cgroup, access);
  namespace.setSysctl(name, access.written ?? what.value);
}
