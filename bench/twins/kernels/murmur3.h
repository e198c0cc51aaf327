// MurmurHash3 (32 bits) of 256 words, as a compute kernel like those of the shared recipes: u64 body(u8 *memory).
typedef unsigned char u8; typedef unsigned int u32; typedef unsigned long long u64;
static __attribute__((always_inline)) inline u32 turn(u32 x, int r) { return x << r | x >> (32 - r); }
static __attribute__((always_inline)) inline u64 body(u8 *m) {
  u32 h = 0x9747b28c;
  u32 *p = (u32 *)m;
_Pragma("clang loop vectorize(disable) unroll(disable)")
  for (int i = 0; i < 256; i++) {
    h ^= turn(p[i] * 0xcc9e2d51u, 15) * 0x1b873593u;
    h = turn(h, 13) * 5 + 0xe6546b64u;
  }
  h ^= 1024;
  h = (h ^ h >> 16) * 0x85ebca6bu;
  h = (h ^ h >> 13) * 0xc2b2ae35u;
  return h ^ h >> 16;
}
