// Functions of every linkage, in several sections; a global one whose argument a tag describes.
#include "features.h"

struct numbers {
	int a;
	int b;
};

int result;

__noinline static int twice(int x)
{
	return x * 2 + result * 0;
}

__noinline int add(struct numbers *numbers)
{
	if (!numbers)
		return -1;
	return numbers->a + numbers->b;
}

__noinline __hidden int hidden_sum(int x, int y)
{
	return twice(x) + y;
}

__noinline __weak int weak_one(int x)
{
	return x + 1;
}

SEC(".text.cold")
__noinline int cold(int x)
{
	return weak_one(x) - 100;
}

__noinline int tagged(struct numbers *numbers __tag("arg:nonnull"))
{
	return numbers->a;
}

SEC("raw_tp/sys_enter")
int first(void *ctx)
{
	struct numbers numbers = { .a = 20, .b = 3 };

	result = add(&numbers) + hidden_sum(5, 1) + tagged(&numbers);
	return result;
}

SEC("raw_tp/sys_enter")
int second(void *ctx)
{
	return weak_one(41) + twice(0) * 0;
}
