// A program with static probes, their notes written out as systemtap's sys/sdt.h writes them: waits for a byte on its input, then
// passes its two sites three times. x86-64, without a C library.
#define NOTE(name, arguments)                                             \
	"990: nop\n"                                                      \
	".pushsection .note.stapsdt,\"?\",\"note\"\n"                     \
	".balign 4\n"                                                     \
	".4byte 992f-991f, 994f-993f, 3\n"                                \
	"991: .asciz \"stapsdt\"\n"                                       \
	"992: .balign 4\n"                                                \
	"993: .8byte 990b, _.stapsdt.base, counter\n"                     \
	".asciz \"skep\"\n"                                               \
	".asciz \"" name "\"\n"                                           \
	".asciz \"" arguments "\"\n"                                      \
	"994: .balign 4\n"                                                \
	".popsection\n"                                                   \
	".ifndef _.stapsdt.base\n"                                        \
	".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n" \
	".weak _.stapsdt.base\n"                                          \
	".hidden _.stapsdt.base\n"                                        \
	"_.stapsdt.base: .space 1\n"                                      \
	".size _.stapsdt.base, 1\n"                                       \
	".popsection\n"                                                   \
	".endif\n"

unsigned short counter __attribute__((section(".probes"), used)) = 0;
static char byte;

static long call3(long number, long a, void *b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return result;
}

void __attribute__((noinline)) stage(int number)
{
	long far = 77;

	__asm__ volatile(NOTE("stage", "-4@%%edi 8@%[far] 4@$9") : : "D"(number), [far] "m"(far), "m"(counter));
	__asm__ volatile(NOTE("stage", "-4@%%edi 8@%[far] 4@$8") : : "D"(number + 1), [far] "m"(far), "m"(counter));
}

void _start(void)
{
	call3(0, 0, &byte, 1);
	for (int at = 0; at < 3; at++)
		stage(at * 10);
	call3(60, counter, 0, 0);
}
