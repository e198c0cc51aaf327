// Instructions that compilers do not write by themselves.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
__attribute__((naked)) int skbs(void) {
  asm volatile(
      "r6 = r1;"
      "r0 = *(u16 *)skb[12];"
      "r7 = 2;"
      "r0 = *(u8 *)skb[r7];"
      "*(u64 *)(r10 - 8) = -1;"
      "*(u8 *)(r10 - 9) = 7;"
      "r1 = *(s32 *)(r10 - 8);"
      "r1 = (s8)r1;"
      "w2 = (s16)w1;"
      "w2 s/= -3;"
      "r1 s%%= r7;"
      "r1 = bswap16 r1;"
      "r1 = be32 r1;"
      "r1 = le64 r1;"
      "w1 = -w1;"
      "w1 s>>= 3;"
      "if w1 s<= -2 goto +1;"
      "if r1 & 8 goto +0;"
      // r3 = load_acquire((u32 *)(r10 - 8)); store_release((u32 *)(r10 - 8), r3)
      ".8byte 0x00000100fff8a3c3;"
      ".8byte 0x00000110fff83ac3;"
      // may_goto +1
      ".8byte 0x00000000000100e5;"
      "goto -2;"
      "gotol +0;"
      "r0 = 0;"
      "exit;" ::
          : "memory");
}

char LICENSE[] SEC("license") = "GPL";
