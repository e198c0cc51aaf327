// Iterators: what the kernel holds, written as text.
#include "common.h"

struct seq_file;
struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} __attribute__((preserve_access_index));

#define WRITE(seq, format, ...)                                                              \
	({                                                                                   \
		static const char text[] = format;                                           \
		__u64 args[] = { __VA_ARGS__ };                                              \
		bpf_seq_printf(seq, text, sizeof(text), args, sizeof(args));                 \
	})

struct task_struct {
	int pid;
	int tgid;
} __attribute__((preserve_access_index));
struct file;
struct path;
struct vm_area_struct {
	unsigned long vm_start;
} __attribute__((preserve_access_index));
struct bpf_map {
	__u32 id;
} __attribute__((preserve_access_index));
struct bpf_prog_aux {
	__u32 id;
} __attribute__((preserve_access_index));
struct bpf_prog {
	struct bpf_prog_aux *aux;
} __attribute__((preserve_access_index));
struct bpf_link {
	__u32 id;
} __attribute__((preserve_access_index));
struct kernfs_node {
	__u64 id;
} __attribute__((preserve_access_index));
struct cgroup {
	struct kernfs_node *kn;
} __attribute__((preserve_access_index));

#define CONTEXT(name, ...)                         \
	struct bpf_iter__##name {                  \
		struct bpf_iter_meta *meta;        \
		__VA_ARGS__                        \
	} __attribute__((preserve_access_index))

CONTEXT(task, struct task_struct *task;);
CONTEXT(task_file, struct task_struct *task; __u32 fd; struct file *file;);
CONTEXT(task_vma, struct task_struct *task; struct vm_area_struct *vma;);
CONTEXT(bpf_map, struct bpf_map *map;);
CONTEXT(bpf_prog, struct bpf_prog *prog;);
CONTEXT(bpf_link, struct bpf_link *link;);
CONTEXT(bpf_map_elem, struct bpf_map *map; void *key; void *value;);
CONTEXT(cgroup, struct cgroup *cgroup;);
struct sock_common {
	unsigned short skc_num;
} __attribute__((preserve_access_index));
CONTEXT(tcp, struct sock_common *sk_common; unsigned int uid;);
struct udp_sock;
CONTEXT(udp, struct udp_sock *udp_sk; unsigned int uid; int bucket;);
struct unix_sock;
CONTEXT(unix, struct unix_sock *unix_sk; unsigned int uid;);
struct netlink_sock;
CONTEXT(netlink, struct netlink_sock *sk;);
struct fib6_info;
CONTEXT(ipv6_route, struct fib6_info *rt;);
struct kallsym_iter;
CONTEXT(ksym, struct kallsym_iter *ksym;);
struct kmem_cache;
CONTEXT(kmem_cache, struct kmem_cache *s;);
struct dma_buf;
CONTEXT(dmabuf, struct dma_buf *dmabuf;);

SEC("iter/task") int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	if (task)
		WRITE(ctx->meta->seq, "%d\n", task->tgid);
	return 0;
}

SEC("iter/task_file") int files(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;

	if (task && ctx->file)
		WRITE(ctx->meta->seq, "%d %u\n", task->tgid, ctx->fd);
	return 0;
}

SEC("iter/task_vma") int areas(struct bpf_iter__task_vma *ctx)
{
	struct vm_area_struct *vma = ctx->vma;

	if (ctx->task && vma)
		WRITE(ctx->meta->seq, "%lx\n", vma->vm_start);
	return 0;
}

SEC("iter/bpf_map") int maps(struct bpf_iter__bpf_map *ctx)
{
	struct bpf_map *map = ctx->map;

	if (map)
		WRITE(ctx->meta->seq, "%u\n", map->id);
	return 0;
}

SEC("iter/bpf_prog") int programs(struct bpf_iter__bpf_prog *ctx)
{
	struct bpf_prog *prog = ctx->prog;

	if (prog)
		WRITE(ctx->meta->seq, "%u\n", prog->aux->id);
	return 0;
}

SEC("iter/bpf_link") int links(struct bpf_iter__bpf_link *ctx)
{
	struct bpf_link *link = ctx->link;

	if (link)
		WRITE(ctx->meta->seq, "%u\n", link->id);
	return 0;
}

SEC("iter/bpf_map_elem") int elements(struct bpf_iter__bpf_map_elem *ctx)
{
	__u32 *key = ctx->key;
	__u64 *value = ctx->value;

	if (key && value)
		WRITE(ctx->meta->seq, "%u=%lu\n", *key, *value);
	return 0;
}

SEC("iter/cgroup") int cgroups(struct bpf_iter__cgroup *ctx)
{
	struct cgroup *cgroup = ctx->cgroup;

	if (cgroup)
		WRITE(ctx->meta->seq, "%lu\n", cgroup->kn->id);
	return 0;
}

SEC("iter/tcp") int tcp(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;

	if (sk)
		WRITE(ctx->meta->seq, "%u\n", sk->skc_num);
	return 0;
}

extern int bpf_sock_destroy(struct sock_common *sock) __ksym __weak;
const volatile __u16 doomed = 0;

SEC("iter/tcp") int destroy(struct bpf_iter__tcp *ctx)
{
	struct sock_common *sk = ctx->sk_common;

	if (sk && sk->skc_num == doomed && bpf_sock_destroy(sk) == 0)
		count(0);
	return 0;
}

#define ANY(name, member)                                          \
	SEC("iter/" #name) int any_##name(struct bpf_iter__##name *ctx) \
	{                                                          \
		if (ctx->member)                                   \
			WRITE(ctx->meta->seq, "%lu\n", ctx->meta->seq_num); \
		return 0;                                          \
	}
ANY(udp, udp_sk)
ANY(unix, unix_sk)
ANY(netlink, sk)
ANY(ipv6_route, rt)
ANY(ksym, ksym)
ANY(kmem_cache, s)
ANY(dmabuf, dmabuf)
