#include "memory.h"

// 64 look-ups among the 256 sorted words in the second half.
INLINE u64 body(u8 *m) {
  u32 *a = (u32 *)(m + 2048), *q = (u32 *)m;
  u64 s = 0;
#pragma clang loop unroll(disable) vectorize(disable)
  for (int i = 0; i < 64; i++) {
    u32 x = q[i], b = 0;
#pragma clang loop unroll(disable)
    for (u32 h = 128; h; h >>= 1)
      if (a[(b + h - 1) & 255] < x) b += h;
    s += b;
  }
  return s;
}
