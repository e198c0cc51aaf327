#include "memory.h"

INLINE u64 body(u8 *m) {
  u64 s = 0;
  u32 *p = (u32 *)m;
#pragma clang loop vectorize(disable) unroll(disable)
  for (int i = 0; i < 375; i++) s += p[i];
  s = (s & 0xffffffff) + (s >> 32);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  s = (s & 0xffff) + (s >> 16);
  return (u16)~s;
}
