/**
 * @module
 * `npm run report -- kernel-functions`: the running kernel's functions for programs (the `bpf_kfunc` tags in its types), and which of them the
 * verifier knows by program type and the user-space machine runs; writes kernel-functions.md. Needs /sys/kernel/btf/vmlinux.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openBtf } from "@skep/object";
import { Vm } from "@skep/vm";
import { format } from "prettier";
import { kernelFunctionRows } from "../packages/verifier/src/kernel/function-rows.ts";

/** Why functions do not run in user space, by their beginning; the first that fits. */
const REASONS: readonly (readonly [beginning: RegExp, reason: string])[] = [
  [/^scx_bpf_|^__scx_/, "schedulers (sched_ext): there is no scheduler"],
  [/^hid_/, "input devices (HID): there are none"],
  [
    /^bbr_|^cubictcp_|^dctcp_|^tcp_/,
    "the kernel's own congestion control, called by struct_ops: TCP of the simulated machine has one of its own",
  ],
  [/^bpf_(skb|xdp)_ct_|^bpf_ct_/, "netfilter's connection tracking: there is none"],
  [/xfrm|_fou_/, "IPsec and FOU: there are none"],
  [/^bpf_iter_/, "the kernel's lists that the machine has no host for"],
  [
    /^bpf_key_|_key$|pkcs7|fsverity|xattr|_file$|path_d_path/,
    "keys, signatures and attributes of files: there are none",
  ],
  [/^bpf_crypto_/, "the kernel's ciphers: they wait for a synchronous one that runs in a browser"],
  [/^crash_|^bpf_kfunc_call_|_test|^__bpf_trap|kmem_cache$/, "for the kernel's own use"],
  [
    /^bpf_(skb|xdp|sock_ops)_|^bpf_qdisc_|^bpf_kfree_skb|^bpf_set_sock|^bpf_sock_/,
    "parts of packets and queues that the simulated machine does not have",
  ],
  [
    /send_signal|rstat|session|stream|_irq_|preempt|res_spin|copy_from_user|probe_read_.*dynptr/,
    "signals, concurrency and user memory of a real CPU",
  ],
];
const reasonOf = (name: string): string => REASONS.find(([beginning]) => beginning.test(name))?.[1] ?? "not yet";

function kernelNames(): string[] {
  const btf = openBtf(readFileSync("/sys/kernel/btf/vmlinux"));
  const names = new Set<string>();
  for (let id = 1; id < btf.end; id++) {
    const tag = btf.get(id);
    if (tag?.kind !== "decl_tag" || tag.name !== "bpf_kfunc") continue;
    const target = btf.get(tag.typeId);
    if (target?.kind === "func") names.add(target.name);
  }
  return [...names].sort();
}

const verifier = new Set(kernelFunctionRows.flatMap(([names]) => names.split(" ")));
const machine = new Set(new Vm({ clock: () => 0n, random: () => 0 }).kernelFunctionNames);
const kernel = kernelNames();
const known = kernel.filter((name) => machine.has(name));
const reasons = new Map<string, string[]>();
for (const name of kernel.filter((each) => !machine.has(each))) {
  const reason = reasonOf(name);
  reasons.set(reason, [...(reasons.get(reason) ?? []), name]);
}
const list = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(", ");
const unknown = kernel.filter((name) => !verifier.has(name));
const text = `# Kernel functions

${kernel.length} functions are marked for programs in the running kernel. The verifier takes the prototype of every one from the kernel's types; of
${kernel.length - unknown.length} it knows which program types may call them. The user-space machine runs ${known.length}.
(\`npm run report -- kernel-functions\`)

## Run in user space

${list(known)}

## Not run in user space

A program that calls one is refused by name when it is loaded (\`UnsupportedError\`).

| why | how many | functions |
| --- | --- | --- |
${[...reasons].map(([reason, names]) => `| ${reason} | ${names.length} | ${list(names)} |`).join("\n")}

## Program types unknown to the verifier

It lets every program type call them, and leaves the rest to the kernel.

${unknown.length === 0 ? "None." : list(unknown)}
`;
writeFileSync(join(import.meta.dirname, "kernel-functions.md"), await format(text, { parser: "markdown" }));
console.log(`${kernel.length} functions, ${known.length} in user space, ${unknown.length} of no known type`);
