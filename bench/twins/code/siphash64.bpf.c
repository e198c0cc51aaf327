#include "memory.h"

#define ROUND \
  v0 += v1; v1 = rol64(v1, 13); v1 ^= v0; v0 = rol64(v0, 32); \
  v2 += v3; v3 = rol64(v3, 16); v3 ^= v2; v0 += v3; v3 = rol64(v3, 21); v3 ^= v0; \
  v2 += v1; v1 = rol64(v1, 17); v1 ^= v2; v2 = rol64(v2, 32);

INLINE u64 body(u8 *m) {
  u64 *p = (u64 *)m, k0 = p[100], k1 = p[101];
  u64 v0 = k0 ^ 0x736f6d6570736575ull, v1 = k1 ^ 0x646f72616e646f6dull;
  u64 v2 = k0 ^ 0x6c7967656e657261ull, v3 = k1 ^ 0x7465646279746573ull;
#pragma clang loop unroll(disable)
  for (int i = 0; i < 8; i++) {
    v3 ^= p[i];
    ROUND ROUND
    v0 ^= p[i];
  }
  u64 b = 64ull << 56;
  v3 ^= b;
  ROUND ROUND
  v0 ^= b;
  v2 ^= 0xff;
  ROUND ROUND ROUND ROUND
  return v0 ^ v1 ^ v2 ^ v3;
}
