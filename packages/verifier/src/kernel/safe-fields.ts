/**
 * @module
 * Fields of trusted kernel objects whose pointers are trusted too (BTF_TYPE_SAFE_*, kernel/bpf/verifier.c).
 */
const rows: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  trusted: {
    bpf_iter_meta: ["seq"],
    bpf_iter__task: ["meta", "task"],
    linux_binprm: ["file"],
    file: ["f_inode"],
  },
  "trusted-or-null": {
    socket: ["sk"],
    vm_area_struct: ["vm_mm", "vm_file"],
  },
  rcu: {
    task_struct: ["cpus_ptr", "real_parent", "parent", "group_leader", "cgroups"],
    cgroup: ["kn"],
    css_set: ["dfl_cgrp"],
    cgroup_subsys_state: ["cgroup"],
  },
  "rcu-or-null": {
    mm_struct: ["exe_file"],
    sk_buff: ["sk"],
    request_sock: ["sk"],
  },
};

export function isSafe(how: string, type: string, field: string): boolean {
  return rows[how]?.[type]?.includes(field) === true;
}
