#include "memory.h"

INLINE u64 body(u8 *m) {
  u64 *p = (u64 *)m, s = 0;
#pragma clang loop unroll(disable) vectorize(disable)
  for (int i = 0; i < 128; i++) {
    u64 x = p[i] | 1, r = 0, t = x;
    if (t >> 32) { t >>= 32; r += 32; }
    if (t >> 16) { t >>= 16; r += 16; }
    if (t >> 8) { t >>= 8; r += 8; }
    if (t >> 4) { t >>= 4; r += 4; }
    if (t >> 2) { t >>= 2; r += 2; }
    r += t >> 1;
    s += r;
    x -= x >> 1 & 0x5555555555555555ull;
    x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
    s += x * 0x0101010101010101ull >> 56;
  }
  return s;
}
