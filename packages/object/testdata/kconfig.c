// Values of the kernel's configuration.
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

extern int LINUX_KERNEL_VERSION __kconfig;
extern unsigned int CONFIG_HZ __kconfig;
extern bool CONFIG_BPF_SYSCALL __kconfig;
extern enum libbpf_tristate CONFIG_MODULES __kconfig __weak;
extern char CONFIG_DEFAULT_HOSTNAME[16] __kconfig __weak;
extern unsigned long CONFIG_SKEP_IS_NO_OPTION __kconfig __weak;

SEC("raw_tp/sys_enter")
int configured(void *ctx)
{
	return LINUX_KERNEL_VERSION + CONFIG_HZ + CONFIG_BPF_SYSCALL + (CONFIG_MODULES == TRI_MODULE) +
	       CONFIG_DEFAULT_HOSTNAME[0] + (int)CONFIG_SKEP_IS_NO_OPTION;
}

char _license[] SEC("license") = "GPL";
