#include "memory.h"

INLINE u64 body(u8 *m) {
  u32 c = ~0u;
#pragma clang loop unroll(disable)
  for (int i = 0; i < 256; i++) {
    c ^= m[i];
#pragma clang loop unroll(full)
    for (int k = 0; k < 8; k++) {
      u32 b = c & 1;
      asm volatile("" : "+r"(b));
      c = c >> 1 ^ 0xedb88320u * b;
    }
  }
  return (u32)~c;
}
