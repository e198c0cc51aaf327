// What user space has of `kernel.d.ts`: modules of kernel programs can be imported there for their schemas, their calls cannot be made.
function kernelOnly() {
  throw new Error("a function of the kernel");
}

export const bpf_func_id = { BPF_FUNC_loop: 181, BPF_FUNC_unspec: 0 };
export {
  kernelOnly as bpf_task_from_pid,
  kernelOnly as bpf_task_release,
  kernelOnly as bpf_cgroup_from_id,
  kernelOnly as bpf_cgroup_release,
  kernelOnly as bpf_sock_destroy,
  kernelOnly as tcp_slow_start,
  kernelOnly as tcp_cong_avoid_ai,
  kernelOnly as bpf_strlen,
  kernelOnly as bpf_skep_missing,
};
