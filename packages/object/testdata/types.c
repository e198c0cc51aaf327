// Types of every kind, for printing: nested and anonymous, packed and padded, bit fields, function pointers, enumerations.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

struct forward;
union forward_union;

enum color { RED, GREEN = 5, BLUE };
enum signed_color { MINUS = -1, ZERO };
enum wide_color { WIDE = 0x1ffffffffULL };
enum { ANONYMOUS_ONE = 1, ANONYMOUS_TWO };

typedef int (*callback_t)(struct forward *, const char *name, ...);
typedef void (*signal_t)(int);
typedef signal_t (*set_signal_t)(int, signal_t);
typedef int matrix_t[2][3];
typedef struct {
	int x, y;
} point_t;

struct list {
	struct list *next;
	struct list **back;
	volatile int *const restrict_me;
};

struct packed {
	char a;
	int b;
	short c;
} __attribute__((packed));

struct aligned {
	char a;
	long long b __attribute__((aligned(32)));
};

struct padded {
	char a;
	long b;
	char c;
};

struct bits {
	unsigned int a : 1;
	unsigned int b : 3;
	int : 0;
	long c : 40;
	bool d : 1;
	enum color e : 4;
};

struct everything {
	struct {
		int inner;
		union {
			float f;
			double d;
		};
	} named;
	union {
		struct {
			char low, high;
		};
		short both;
	};
	enum { LOCAL_A, LOCAL_B } local;
	callback_t callback;
	set_signal_t set_signal;
	matrix_t matrix;
	point_t points[4];
	int (*table[3])(int, int);
	char (*rows)[8];
	const struct list *lists[2];
	unsigned __int128 huge;
	struct packed packed;
	struct aligned aligned;
	struct padded padded;
	struct bits bits;
	enum signed_color sign;
	enum wide_color wide;
	union forward_union *pointer;
	void *anything;
	const void *constant;
	struct empty {
	} empty;
	bool flag;
	_Bool flags[2];
	signed char tiny;
	unsigned char flexible[];
};

struct everything *everything_pointer;
int anonymous = ANONYMOUS_TWO;

SEC("socket")
int use(struct __sk_buff *skb)
{
	return everything_pointer != 0 && anonymous;
}

char _license[] SEC("license") = "GPL";
