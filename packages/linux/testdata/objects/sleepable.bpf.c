// A program that may sleep, and reads the memory of the process that runs it.
#include "features.h"

const volatile unsigned long long from = 0;
long long read;
char text[16];
int missing;

SEC("syscall")
int copy(void *ctx)
{
	missing = bpf_copy_from_user(&read, sizeof(read), (void *)1);
	bpf_copy_from_user(text, sizeof(text), (const void *)(from + 8));
	return bpf_copy_from_user(&read, sizeof(read), (const void *)from);
}
