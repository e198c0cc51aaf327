// Traffic control: redirection, changes of the packet, tunnel keys, what is known of a packet's socket.
#include "common.h"

const volatile __u32 target_interface = 0;
const volatile __u8 target_mac[6] = {};
const volatile __u32 listener_address = 0;
const volatile __u16 listener_port = 0;

SEC("tc") int see(struct __sk_buff *skb)
{
	count(0);
	return -1;
}

SEC("tc") int refuse(struct __sk_buff *skb)
{
	count(1);
	return 2;
}

SEC("tc") int to_interface(struct __sk_buff *skb)
{
	count(2);
	return bpf_redirect(target_interface, 0);
}

SEC("tc") int into_interface(struct __sk_buff *skb)
{
	count(2);
	return bpf_redirect(target_interface, BPF_F_INGRESS);
}

SEC("tc") int to_neighbour(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return -1;
	count(2);
	return bpf_redirect_neigh(target_interface, 0, 0, 0);
}

SEC("tc") int to_peer(struct __sk_buff *skb)
{
	__u8 mac[6];

	if (skb->protocol != bpf_htons(ETH_P_IP))
		return -1;
	for (int at = 0; at < 6; at++)
		mac[at] = target_mac[at];
	bpf_skb_store_bytes(skb, 0, mac, 6, 0);
	count(2);
	return bpf_redirect_peer(target_interface, 0);
}

SEC("tc") int route(struct __sk_buff *skb)
{
	struct bpf_fib_lookup fib = { .family = 2, .ifindex = skb->ingress_ifindex };
	struct iphdr ip;

	if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, 14, &ip, sizeof(ip)))
		return -1;
	fib.ipv4_src = ip.saddr;
	fib.ipv4_dst = ip.daddr;
	put(3, bpf_fib_lookup(skb, &fib, sizeof(fib), 0));
	put(4, fib.ifindex);
	return -1;
}

SEC("tc") int grow(struct __sk_buff *skb)
{
	__u8 tag = 0xaa, back = 0;

	if (skb->protocol != bpf_htons(ETH_P_IP))
		return -1;
	put(5, bpf_skb_adjust_room(skb, 8, BPF_ADJ_ROOM_MAC, 0));
	bpf_skb_store_bytes(skb, 14, &tag, 1, 0);
	bpf_skb_load_bytes(skb, 14, &back, 1);
	put(6, back);
	put(7, bpf_skb_adjust_room(skb, -8, BPF_ADJ_ROOM_MAC, 0));
	return -1;
}

SEC("tc") int to_six(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return -1;
	put(8, bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0));
	put(9, skb->len);
	put(10, bpf_skb_change_proto(skb, bpf_htons(ETH_P_IP), 0));
	return 2;
}

SEC("tc") int set_key(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = { .tunnel_id = 4242, .remote_ipv4 = listener_address, .tunnel_ttl = 64 };

	count(11);
	bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX);
	return -1;
}

SEC("tc") int get_key(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};

	if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0) == 0)
		put(12, key.tunnel_id);
	return -1;
}

SEC("tc") int identify(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return -1;
	put(13, bpf_skb_cgroup_id(skb));
	put(14, bpf_get_socket_cookie(skb));
	put(15, bpf_get_netns_cookie(skb));
	put(16, bpf_skb_ancestor_cgroup_id(skb, 0));
	return -1;
}

/* Every TCP connection to the listener, whatever its destination says (TPROXY without rules). */
SEC("tc") int assign(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *sk;
	struct iphdr ip;
	struct tcphdr tcp;

	if (skb->protocol != bpf_htons(ETH_P_IP) || bpf_skb_load_bytes(skb, 14, &ip, sizeof(ip)) ||
	    ip.protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, 34, &tcp, sizeof(tcp)))
		return -1;
	tuple.ipv4.saddr = ip.saddr;
	tuple.ipv4.daddr = ip.daddr;
	tuple.ipv4.sport = tcp.source;
	tuple.ipv4.dport = tcp.dest;
	sk = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
	if (sk && sk->state == BPF_TCP_LISTEN) {
		bpf_sk_release(sk);
		sk = 0;
	}
	if (!sk) {
		struct bpf_sock_tuple listener = {};

		listener.ipv4.daddr = listener_address;
		listener.ipv4.dport = bpf_htons(listener_port);
		sk = bpf_skc_lookup_tcp(skb, &listener, sizeof(listener.ipv4), BPF_F_CURRENT_NETNS, 0);
		if (!sk)
			return -1;
	}
	put(17, bpf_sk_assign(skb, sk, 0));
	bpf_sk_release(sk);
	skb->mark = 1;
	count(18);
	return 0;
}
