typedef unsigned int __u32;

struct bpf_flow_keys;

typedef unsigned long long __u64;

struct bpf_sock;

typedef unsigned char __u8;

struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
	__u32 tc_index;
	__u32 cb[5];
	__u32 hash;
	__u32 tc_classid;
	__u32 data;
	__u32 data_end;
	__u32 napi_id;
	__u32 family;
	__u32 remote_ip4;
	__u32 local_ip4;
	__u32 remote_ip6[4];
	__u32 local_ip6[4];
	__u32 remote_port;
	__u32 local_port;
	__u32 data_meta;
	union {
		struct bpf_flow_keys *flow_keys;
	};
	__u64 tstamp;
	__u32 wire_len;
	__u32 gso_segs;
	union {
		struct bpf_sock *sk;
	};
	__u32 gso_size;
	__u8 tstamp_type;
	__u64 hwtstamp;
};

struct forward;

typedef int (*callback_t)(struct forward *, const char *, ...);

typedef void (*signal_t)(int);

typedef signal_t (*set_signal_t)(int, signal_t);

typedef int matrix_t[2][3];

typedef struct {
	int x;
	int y;
} point_t;

struct packed {
	char a;
	int b;
	short c;
} __attribute__((packed));

struct aligned {
	char a;
	long: 64;
	long: 64;
	long: 64;
	long long b;
	long: 64;
	long: 64;
	long: 64;
};

struct padded {
	char a;
	long b;
	char c;
};

enum color {
	RED = 0,
	GREEN = 5,
	BLUE = 6,
};

struct bits {
	unsigned int a: 1;
	unsigned int b: 3;
	long: 60;
	long c: 40;
	_Bool d: 1;
	enum color e: 4;
};

enum signed_color {
	MINUS = -1,
	ZERO = 0,
};

enum wide_color {
	WIDE = 8589934591ULL,
};

union forward_union;

struct empty {};

struct list;

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
			char low;
			char high;
		};
		short both;
	};
	enum {
		LOCAL_A = 0,
		LOCAL_B = 1,
	} local;
	callback_t callback;
	set_signal_t set_signal;
	matrix_t matrix;
	point_t points[4];
	int (*table[3])(int, int);
	char (*rows)[8];
	const struct list *lists[2];
	unsigned __int128 huge;
	struct packed packed;
	long: 64;
	long: 64;
	long: 64;
	struct aligned aligned;
	struct padded padded;
	struct bits bits;
	enum signed_color sign;
	enum wide_color wide;
	union forward_union *pointer;
	void *anything;
	const void *constant;
	struct empty empty;
	_Bool flag;
	_Bool flags[2];
	signed char tiny;
	unsigned char flexible[0];
	long: 64;
};

struct list {
	struct list *next;
	struct list **back;
	volatile int * const restrict_me;
};

