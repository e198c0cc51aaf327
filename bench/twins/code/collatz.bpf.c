#include "memory.h"

INLINE u64 body(u8 *m) {
  u64 s = 0;
#pragma clang loop unroll(disable)
  for (u64 i = 1; i < 65; i++) {
    u64 x = i + (m[0] & 0);
#pragma clang loop unroll(disable)
    for (int k = 0; k < 64 && x != 1; k++) {
      x = x & 1 ? 3 * x + 1 : x >> 1;
      s++;
    }
  }
  return s;
}
