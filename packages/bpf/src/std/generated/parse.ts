// The pure functions of @skep/bpf/parse, made by packages/compiler/scripts/embed-standard.ts of parse.bpf.ts; a test compares.
// @ts-nocheck -- JavaScript; ../parse.ts gives the functions their types
const u64 = (value) => BigInt.asUintN(64, value);

let top = 8;

let memory = new DataView(new ArrayBuffer(65536));
let bytes = new Uint8Array(memory.buffer);
function enter(size) {
  const at = top;
  top += size;
  if (top > bytes.length) {
    const grown = new Uint8Array(2 * top);
    grown.set(bytes);
    bytes = grown;
    memory = new DataView(grown.buffer);
  }
  return at;
}
const leave = (frame, result) => {
  top = frame;
  return result;
};
const copy = (to, from, size) => void bytes.copyWithin(to, from, from + size);
const zero = (to, size) => void bytes.fill(0, to, to + size);


function greLength$(flags) {
  let length = 0;
  length = 4;
  if (((flags & 32768) >>> 0) !== 0) {
    length = (length + 4) >>> 0;
  }
  if (((flags & 8192) >>> 0) !== 0) {
    length = (length + 4) >>> 0;
  }
  if (((flags & 4096) >>> 0) !== 0) {
    length = (length + 4) >>> 0;
  }
  return length;
}

function dnsNameHash$(labels, labelsLength) {
  let hash = 0n, index = 0, t10, t11, value = 0;
  hash = 14695981039346656037n;
  index = 0;
  b2: for (;;) {
    if (index < labelsLength) {
      b9: {
        t10 = memory.getUint8(labels + Number(BigInt(index)));
        t11 = hash;
        if (t10 >= 65) {
          if (t10 <= 90) {
            value = (t10 | 32) >>> 0;
            break b9;
          }
        }
        value = t10;
      }
      hash = u64((t11 ^ BigInt(value)) * 1099511628211n);
      index = (index + 1) >>> 0;
    } else {
      return hash;
    }
  }
}

export function greLength(flags) {
  return greLength$(flags & 0xffff);
}

export function dnsNameHash(labels) {
  const $start = top;
  const labels$ = enter((1 * labels.length + 7) & ~7);
  for (let $index = 0; $index < labels.length; $index++) memory.setUint8(labels$ + 1 * $index, labels[$index]);
  const $result = dnsNameHash$(labels$, labels.length);
  top = $start;
  return $result;
}
