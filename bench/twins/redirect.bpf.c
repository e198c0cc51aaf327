// The tutorial's program in C, for comparison.
// clang-19 -O2 -g -mcpu=v3 -target bpf -I/usr/include/x86_64-linux-gnu -c redirect.bpf.c -o redirect.o
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 workload = 0;

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u64);
} counts SEC(".maps");

static __always_inline void count(__u32 index) {
  __u64 *counter = bpf_map_lookup_elem(&counts, &index);
  if (counter) *counter += 1;
}

static __always_inline int drop(void) {
  count(1);
  return TC_ACT_SHOT;
}

SEC("tc")
int port80(struct __sk_buff *ctx) {
  void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
  struct ethhdr *ethernet = data;
  if ((void *)(ethernet + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP)) return drop();
  struct iphdr *ip = (void *)(ethernet + 1);
  if ((void *)(ip + 1) > end || ip->protocol != IPPROTO_TCP) return drop();
  struct tcphdr *tcp = (void *)ip + ip->ihl * 4;
  if ((void *)(tcp + 1) > end || tcp->dest != bpf_htons(80)) return drop();
  count(0);
  return bpf_redirect(workload, 0);
}

char _license[] SEC("license") = "Apache-2.0";
