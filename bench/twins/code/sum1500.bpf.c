#include "memory.h"

INLINE u64 body(u8 *m) {
  u64 s = 0;
#pragma clang loop vectorize(disable) unroll(disable)
  for (int i = 0; i < 1500; i++) s += m[i];
  return s;
}
