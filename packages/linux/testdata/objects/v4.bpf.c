// The instructions of CPU version 4: signed division, sign extension, byte swaps.
#include "features.h"

const volatile int dividend = -17;
const volatile int divisor = 5;
const volatile signed char small = -3;
const volatile unsigned int swapped = 0x11223344;
int quotient;
int rest;
long long extended;
unsigned int swap;

SEC("raw_tp/sys_enter")
int compute(void *ctx)
{
	quotient = dividend / divisor;
	rest = dividend % divisor;
	extended = small;
	swap = __builtin_bswap32(swapped);
	return 0;
}
