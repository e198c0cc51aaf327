// The kernel's configuration, as every type that it can be asked for.
#include "features.h"

#define __config __attribute__((section(".kconfig")))

extern int LINUX_KERNEL_VERSION __config;
extern unsigned long CONFIG_HZ __config;
extern bool CONFIG_BPF_SYSCALL __config;
extern char CONFIG_BPF_JIT __config;
extern enum libbpf_tristate CONFIG_INET __config;
extern char CONFIG_DEFAULT_HOSTNAME[24] __config;
extern unsigned int CONFIG_SKEP_IS_NO_OPTION __config __weak;
extern bool LINUX_HAS_BPF_COOKIE __config __weak;

int version;
unsigned long hz;
int has_bpf;
int jit;
int inet;
char hostname[24];
int missing = 1;
int has_cookie;

SEC("raw_tp/sys_enter")
int read_config(void *ctx)
{
	version = LINUX_KERNEL_VERSION;
	hz = CONFIG_HZ;
	has_bpf = CONFIG_BPF_SYSCALL;
	jit = CONFIG_BPF_JIT;
	inet = CONFIG_INET;
	for (int i = 0; i < (int)sizeof(hostname); i++)
		hostname[i] = CONFIG_DEFAULT_HOSTNAME[i];
	missing = CONFIG_SKEP_IS_NO_OPTION;
	has_cookie = LINUX_HAS_BPF_COOKIE;
	return 0;
}
