#include "memory.h"

#include "jhash.h"

INLINE u64 body(u8 *m) {
  u64 s = 0;
  u32 *p = (u32 *)m;
#pragma clang loop vectorize(disable) unroll(disable)
  for (int i = 0; i < 64; i++) {
    u32 h = jhash_final(p[i * 4] + 0xdeadbef7, p[i * 4 + 1] + 0xdeadbef7, p[i * 4 + 2] + 0xdeadbef7) % 1021;
    asm volatile("" : "+r"(h));
    s += p[h & 1023];
  }
  return s;
}
