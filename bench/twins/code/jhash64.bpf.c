#include "memory.h"

#include "jhash.h"

INLINE u64 body(u8 *m) {
  u64 s = 0;
  u32 *p = (u32 *)m;
#pragma clang loop vectorize(disable) unroll(disable)
  for (int i = 0; i < 64; i++) {
    u32 iv = 0xdeadbeef + (3 << 2) + 7;
    s += jhash_final(p[i * 4] + iv, p[i * 4 + 1] + iv, (p[i * 4 + 2] ^ m[i * 16 + 12]) + iv);
  }
  return s;
}
