// Data of every kind: configured before loading, changed by the program, in sections of its own, hidden.
#include "features.h"

const volatile int factor = 2;
const volatile char name[8] = "skep";
const volatile struct {
	short low;
	long long high;
} pair = { 3, 5 };
int counter = 40;
long long total;
static int calls;
int in_own SEC(".data.own") = 7;
int in_own_bss SEC(".bss.own");
const volatile int in_own_rodata SEC(".rodata.own") = 11;
__hidden int hidden = 13;

SEC("raw_tp/sys_enter")
int compute(void *ctx)
{
	calls++;
	counter += factor;
	in_own_bss = in_own + in_own_rodata + hidden;
	total = pair.low * pair.high + name[0] + counter;
	return calls;
}
