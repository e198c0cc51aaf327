/**
 * @module
 * The part of a kernel's types that programs here look at, as Linux 6.18 for x86-64 has it: what kernel objects are laid out by where a real
 * kernel's types (/sys/kernel/btf/vmlinux) are not at hand. Members that are not here are not there for CO-RE.
 */
import { BtfBuilder } from "@skep/object";
import type { BtfTypes } from "@skep/object";

type Row = readonly [name: string, size: number, members: string];

/** `name@offset type`; types: u8 to u64, i8 to i64, bool, a struct's name, `*struct`, `type[length]`, `type:bits.first`. */
const rows: readonly Row[] = [
  [
    "task_struct",
    3264,
    `flags@44 u32, nr_cpus_allowed@792 i32, cpus_ptr@800 *cpumask, policy@780 u32,
     sched_reset_on_fork@1188 u32:1.0, in_iowait@1193 u32:1.0, exit_code@1164 i32,
     exit_signal@1168 i32, pid@1264 i32, tgid@1268 i32, real_parent@1280 *task_struct,
     parent@1288 *task_struct, group_leader@1328 *task_struct, start_time@1552 u64,
     start_boottime@1560 u64, mm@1136 *mm_struct, active_mm@1144 *mm_struct, cred@1736 *cred,
     real_cred@1728 *cred, comm@1752 u8[16], fs@1816 *void, files@1824 *void, nsproxy@1840 *nsproxy,
     signal@1848 *signal_struct, loginuid@1952 kuid_t, sessionid@1956 u32, cgroups@2376 *css_set,
     last_wakee@88 *task_struct, utime@1488 u64, stime@1496 u64, nvcsw@1536 u64, nivcsw@1544 u64`,
  ],
  [
    "cred",
    184,
    `uid@8 kuid_t, gid@12 kgid_t, suid@16 kuid_t, sgid@20 kgid_t, euid@24 kuid_t, egid@28 kgid_t,
     fsuid@32 kuid_t, fsgid@36 kgid_t`,
  ],
  ["kuid_t:typedef", 4, "val@0 u32"],
  ["kgid_t:typedef", 4, "val@0 u32"],
  ["nsproxy", 72, "uts_ns@8 *uts_namespace, mnt_ns@24 *mnt_namespace, net_ns@40 *net"],
  ["net", 4288, "net_cookie@4160 u64, ns@152 ns_common"],
  ["ns_common", 80, "inum@24 u32"],
  ["css_set", 544, "dfl_cgrp@112 *cgroup"],
  [
    "cgroup",
    2240,
    `self@0 cgroup_subsys_state, flags@208 u64, level@216 i32, kn@256 *kernfs_node,
     ancestors@2224 *cgroup[0]`,
  ],
  ["cgroup_subsys_state", 208, "cgroup@0 *cgroup, parent@184 *cgroup_subsys_state, id@72 i32, serial_nr@80 u64"],
  ["kernfs_node", 136, "name@16 *u8, id@96 u64"],
  ["signal_struct", 1144, "nr_threads@8 i32, tty@408 *void"],
  [
    "mm_struct",
    1472,
    `start_code@424 u64, end_code@432 u64, start_stack@472 u64, arg_start@480 u64, arg_end@488 u64,
     env_start@496 u64, env_end@504 u64, total_vm@360 u64, exe_file@1312 *file`,
  ],
  ["vm_area_struct", 192, "vm_start@0 u64, vm_end@8 u64, vm_flags@32 u64, vm_pgoff@80 u64, vm_file@88 *file"],
  ["file", 184, "f_mode@4 u32, f_flags@40 u32, f_inode@32 *inode, f_path@64 path, f_pos@112 i64"],
  ["path", 16, "mnt@0 *void, dentry@8 *dentry"],
  ["dentry", 192, "d_parent@24 *dentry, d_name@32 qstr, d_inode@48 *inode"],
  ["qstr", 16, "len@4 u32, name@8 *u8"],
  ["inode", 616, "i_mode@0 u16, i_uid@4 kuid_t, i_gid@8 kgid_t, i_ino@64 u64, i_size@80 i64, i_sb@40 *super_block"],
  ["super_block", 1472, "s_dev@16 u32, s_magic@96 u64"],
  ["linux_binprm", 408, "file@64 *file, argc@88 i32, envc@92 i32, filename@96 *u8, interp@104 *u8, cred@72 *cred"],
  [
    "sock_common",
    136,
    `skc_daddr@0 u32, skc_rcv_saddr@4 u32, skc_hash@8 u32, skc_dport@12 u16, skc_num@14 u16,
     skc_family@16 u16, skc_state@18 u8, skc_bound_dev_if@20 i32, skc_v6_daddr@56 in6_addr,
     skc_v6_rcv_saddr@72 in6_addr, skc_cookie@88 u8[8], skc_net@48 possible_net_t`,
  ],
  [
    "sock",
    784,
    `__sk_common@0 sock_common, sk_type@534 u16, sk_protocol@532 u16, sk_mark@524 u32,
     sk_uid@528 kuid_t, sk_rcvbuf@244 i32, sk_sndbuf@568 i32, sk_err@284 i32, sk_priority@520 u32`,
  ],
  ["in6_addr", 16, "in6_u@0 u8[16]"],
  ["possible_net_t:typedef", 8, "net@0 *net"],
  ["inet_sock", 1016, "sk@0 sock, inet_saddr@808 u32, inet_sport@814 u16"],
  [
    "tcp_sock",
    2304,
    `snd_cwnd@1444 u32, snd_ssthresh@1492 u32, snd_cwnd_cnt@1932 u32, prior_cwnd@1948 u32,
     srtt_us@1680 u32, rcv_nxt@1664 u32, snd_nxt@1668 u32, snd_una@1672 u32, bytes_received@1752 u64,
     bytes_acked@1824 u64, segs_in@1760 u32, segs_out@1536 u32`,
  ],
  ["udp_sock", 1344, "inet@0 inet_sock"],
  [
    "sk_buff",
    224,
    `dev@16 *net_device, sk@24 *sock, len@112 u32, data_len@116 u32, mac_len@120 u16,
     protocol@176 u16, mark@164 u32, hash@148 u32, skb_iif@144 i32, vlan_tci@154 u16,
     transport_header@178 u16, network_header@180 u16, mac_header@182 u16, tail@184 u32, end@188 u32,
     head@192 *u8, data@200 *u8, pkt_type@128 u32:3.0, cb@40 u8[48]`,
  ],
  [
    "net_device",
    2496,
    `name@280 u8[16], ifindex@224 i32, mtu@56 u32, type@536 u16, flags@176 u32,
     nd_net@264 possible_net_t, dev_addr@968 *u8`,
  ],
  ["nf_hook_state", 48, "hook@0 u8, pf@1 u8, in@8 *net_device, out@16 *net_device, net@32 *net"],
  ["bpf_nf_ctx", 16, "state@0 *nf_hook_state, skb@8 *sk_buff"],
  [
    "bpf_map",
    296,
    `map_type@64 u32, key_size@68 u32, value_size@72 u32, max_entries@76 u32, id@92 u32,
     name@136 u8[16]`,
  ],
  ["bpf_iter_meta", 24, "seq@0 *seq_file, session_id@8 u64, seq_num@16 u64"],
  ["bpf_iter__task", 16, "meta@0 *bpf_iter_meta, task@8 *task_struct"],
  ["bpf_iter__task_file", 32, "meta@0 *bpf_iter_meta, task@8 *task_struct, fd@16 u32, file@24 *file"],
  ["bpf_iter__task_vma", 24, "meta@0 *bpf_iter_meta, task@8 *task_struct, vma@16 *vm_area_struct"],
  ["bpf_iter__cgroup", 16, "meta@0 *bpf_iter_meta, cgroup@8 *cgroup"],
  ["bpf_iter__bpf_map", 16, "meta@0 *bpf_iter_meta, map@8 *bpf_map"],
  ["bpf_iter__bpf_map_elem", 32, "meta@0 *bpf_iter_meta, map@8 *bpf_map, key@16 *void, value@24 *void"],
  ["bpf_iter__tcp", 24, "meta@0 *bpf_iter_meta, sk_common@8 *sock_common, uid@16 u32"],
  ["bpf_iter__udp", 32, "meta@0 *bpf_iter_meta, udp_sk@8 *udp_sock, uid@16 u32, bucket@24 i32"],
  [
    "tcp_congestion_ops",
    192,
    `ssthresh@0 *fn, cong_avoid@8 *fn, undo_cwnd@64 *fn, init@136 *fn, release@144 *fn,
     set_state@16 *fn, cwnd_event@24 *fn, name@88 u8[16], flags@132 u32, key@128 u32`,
  ],
  ["socket", 128, "state@0 u32, type@4 i16, sk@24 *sock, file@16 *file"],
  ["sockaddr", 16, "sa_family@0 u16"],
  ["xdp_buff", 56, "data@0 *void, data_end@8 *void, data_meta@16 *void, rxq@32 *void"],
  ["bpf_cpumask", 40, "cpumask@0 cpumask"],
  ["cpumask", 32, "bits@0 u64[4]"],
  ["seq_file", 120, "buf@0 *u8, size@8 u64, count@24 u64"],
  ["user_namespace", 672, "level@200 i32"],
  ["mnt_namespace", 200, "ns@0 ns_common"],
  ["uts_namespace", 488, "ns@408 ns_common"],
];

/** Of BPF_FUNC_*, for programs that ask what the kernel has. */
const functionIds = {
  BPF_FUNC_unspec: 0,
  BPF_FUNC_map_lookup_elem: 1,
  BPF_FUNC_ringbuf_output: 130,
  BPF_FUNC_loop: 181,
};

class Builder {
  private readonly btf = new BtfBuilder();
  private readonly ids = new Map<string, number>();
  private readonly sizes = new Map<string, number>();

  build(): BtfTypes {
    for (const [name, size] of rows) {
      const [plain = name] = name.split(":");
      this.ids.set(plain, this.btf.reserve());
      this.sizes.set(plain, size);
    }
    for (const row of rows) this.define(row);
    this.btf.enumType("bpf_func_id", functionIds);
    return this.btf.build();
  }

  private define([name, size, members]: Row): void {
    const [plain = name, isTypedef] = name.split(":");
    const list = members.split(",").map((each) => {
      const [, member = "", offset = "", type = "", bits, first] =
        /^\s*(\w+)@(\d+) ([\w*[\]]+)(?::(\d+)\.(\d+))?$/.exec(each) ?? [];
      const bitOffset = Number(offset) * 8 + Number(first ?? 0);
      return {
        name: member,
        typeId: this.type(type),
        bitOffset,
        ...(bits === undefined ? {} : { bitSize: Number(bits) }),
      };
    });
    const id = this.ids.get(plain);
    if (id === undefined) throw new Error(`no struct ${plain}`);
    if (isTypedef === undefined) this.btf.struct(plain, list, { size, id });
    else this.btf.define(id, { kind: "typedef", name: plain, typeId: this.btf.struct("", list, { size }) });
  }

  private type(text: string): number {
    const { btf } = this;
    const array = /^(.*)\[(\d+)\]$/.exec(text);
    if (array !== null) return btf.array(this.type(array[1] ?? ""), Number(array[2]));
    if (text === "*void") return btf.pointer(0);
    if (text === "*fn") return btf.pointer(btf.funcProto(0, []));
    if (text.startsWith("*")) return btf.pointer(this.type(text.slice(1)));
    if (text === "bool") return btf.intType("bool", 1, "bool");
    const number = /^([ui])(8|16|32|64)$/.exec(text);
    if (number !== null) return btf.intType(text, Number(number[2]) / 8, number[1] === "u" ? "unsigned" : "signed");
    const known = this.ids.get(text);
    if (known === undefined) throw new Error(`no type ${text}`);
    return known;
  }
}

let built: BtfTypes | null = null;

/** The types; made once. */
export function someKernelTypes(): BtfTypes {
  built ??= new Builder().build();
  return built;
}
