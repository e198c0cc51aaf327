// CRC-32C of SCTP (RFC 9260, appendix A) after two bytes have changed: the sum is linear, so what changes is the sum of the difference alone,
// with as many zeros behind it as bytes follow.
import { loop, range, subprogram, u32 } from "@skep/bpf";

/** Castagnoli's polynomial, lowest bit first. */
const POLYNOMIAL = 0x82f63b78;

/** x^(8 * 2^k) modulo the polynomial: what 1, 2, 4, ... zero bytes multiply a sum by. */
const ZEROS = [
  0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7, 0x88e56f72,
  0x74c360a4, 0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
] as const;

/** The product of two polynomials, without a branch for each bit. */
function multiply(a: u32, b: u32): u32 {
  let product: u32 = 0;
  let left: u32 = a;
  let right: u32 = b;
  for (const _ of range(32)) {
    product ^= right * (left >>> 31);
    left <<= 1;
    right = (right >>> 1) ^ (POLYNOMIAL * (right & 1));
  }
  return product;
}

/** What to xor to the checksum where the word `difference` (old xor new, as numbers) is followed by `behind` bytes. */
export const crc32cChange = subprogram((difference: u32, behind: u32): u32 => {
  // Two bytes in the order of the wire, each with its low bit first.
  let sum: u32 = (difference >>> 8) | ((difference & 0xff) << 8);
  for (const _ of range(16)) sum = (sum >>> 1) ^ (POLYNOMIAL * (sum & 1));
  loop(16, (at) => {
    if (((behind >>> at) & 1) !== 0) sum = multiply(sum, ZEROS[at] ?? 0);
  });
  return sum;
});
