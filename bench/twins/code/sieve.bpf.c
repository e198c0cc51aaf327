#include "memory.h"

INLINE u64 body(u8 *m) {
  u64 bm[32];
  int n = 0;
#pragma clang loop unroll(full)
  for (int i = 0; i < 32; i++) bm[i] = 0;
#pragma clang loop unroll(disable)
  for (u32 i = 2; i < 2048; i++) {
    if (bm[i >> 6 & 31] >> (i & 63) & 1) continue;
    n++;
    if (i >= 46) continue;
#pragma clang loop unroll(disable)
    for (u32 j = i * i; j < 2048; j += i) bm[j >> 6 & 31] |= 1ull << (j & 63);
  }
  return n;
}
