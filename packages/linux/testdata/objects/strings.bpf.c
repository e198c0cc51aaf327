// Text: literals lie in sections of their own (.rodata.str1.1), formats in read-only data.
#include "features.h"

char out[64];
int length;
int compared;

SEC("raw_tp/sys_enter")
int print(void *ctx)
{
	static const char format[] = "%s has %d of %llx";
	const char *word = "a hive";
	__u64 args[] = { (__u64)(unsigned long)word, 6, 0xbee };

	length = bpf_snprintf(out, sizeof(out), format, args, sizeof(args));
	compared = bpf_strncmp(out, 6, "a hive");
	bpf_printk("skep %s", out);
	return 0;
}
