// Programs that are loaded only when they are named; names that the kernel cuts; several in one section.
#include "features.h"

int ran;

SEC("raw_tp/sys_enter")
int always(void *ctx)
{
	return ran = 1;
}

SEC("?raw_tp/sys_enter")
int only_when_asked_for_by_its_long_name(void *ctx)
{
	return ran = 2;
}

SEC("?raw_tp/sys_enter")
int refused_by_every_kernel(void *ctx)
{
	return *(volatile int *)8;
}
