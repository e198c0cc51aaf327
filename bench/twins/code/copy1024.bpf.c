#include "memory.h"

INLINE u64 body(u8 *m) {
  volatile u64 *s = (u64 *)m, *d = (u64 *)(m + 2048);
#pragma clang loop unroll(disable) vectorize(disable)
  for (int i = 0; i < 128; i++) d[i] = s[i];
  return d[127];
}
