/** A small generator of pseudo-random numbers (mulberry32): the same seed gives the same damage everywhere. */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

const WORDS = [
  0, 1, 2, 7, 8, 0x18, 0x7f, 0x80, 0xff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff8, 0xffff_ffff,
];

/** A damaged copy: bytes, words, pieces cut off, doubled or swapped. */
export function damage(bytes: Uint8Array, next: (below: number) => number): Uint8Array {
  let out = Uint8Array.from(bytes);
  const edits = 1 + next(4);
  for (let edit = 0; edit < edits && out.length > 8; edit++) out = damageOnce(out, next);
  return out;
}

function damageOnce(bytes: Uint8Array<ArrayBuffer>, next: (below: number) => number): Uint8Array<ArrayBuffer> {
  const at = next(bytes.length - 8);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  switch (next(8)) {
    case 0:
      bytes[at] = next(256);
      return bytes;
    case 1:
      bytes[at] = (bytes[at] ?? 0) ^ (1 << next(8));
      return bytes;
    case 2:
      view.setUint32(at & ~3, WORDS[next(WORDS.length)] ?? 0, true);
      return bytes;
    case 3:
      view.setUint32(at & ~3, (view.getUint32(at & ~3, true) + next(17) - 8) >>> 0, true);
      return bytes;
    case 4:
      return next(4) === 0 ? bytes.slice(0, at) : bytes;
    case 5:
      bytes.copyWithin(at, next(bytes.length), at + 1 + next(64));
      return bytes;
    case 6:
      bytes.fill(next(2) === 0 ? 0 : 0xff, at, at + 1 + next(16));
      return bytes;
    default:
      // The last quarter holds the section headers.
      view.setUint32(
        Math.min(bytes.length - 4, (Math.floor(bytes.length * 0.75) + next(bytes.length >> 2)) & ~3),
        WORDS[next(WORDS.length)] ?? 0,
        true,
      );
      return bytes;
  }
}
