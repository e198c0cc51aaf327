// The pure functions of @skep/bpf/checksum, made by packages/compiler/scripts/embed-standard.ts of checksum.bpf.ts; a test compares.
// @ts-nocheck -- JavaScript; ../checksum.ts gives the functions their types
const swap16 = (value) => ((value & 0xff) << 8) | ((value >>> 8) & 0xff);

const swap32 = (value) => ((swap16(value) << 16) | swap16(value >>> 16)) >>> 0;

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


function foldChecksum$(sum) {
  let folded = 0;
  folded = (((sum & 65535) >>> 0) + (sum >>> 16)) >>> 0;
  folded = (((folded & 65535) >>> 0) + (folded >>> 16)) >>> 0;
  return folded & 0xffff;
}

function internetChecksum$(bytes_2, bytesLength) {
  let sum = 0, shift = 0, index = 0, folded = 0;
  sum = 0;
  shift = 8;
  index = 0;
  b2: for (;;) {
    if (index < bytesLength) {
      sum = (sum + ((memory.getUint8(bytes_2 + Number(BigInt(index))) << shift) >>> 0)) >>> 0;
      shift = (8 - shift) >>> 0;
      index = (index + 1) >>> 0;
    } else {
      const t26 = sum;
      folded = (((t26 & 65535) >>> 0) + (t26 >>> 16)) >>> 0;
      folded = (((folded & 65535) >>> 0) + (folded >>> 16)) >>> 0;
      return (((folded & 0xffff) ^ 4294967295) >>> 0) & 0xffff;
    }
  }
}

function replaceWord$(checksum, from, to) {
  let folded = 0;
  const t10 = ((((((checksum ^ 4294967295) >>> 0) & 0xffff) + (((from ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + to) >>> 0;
  folded = (((t10 & 65535) >>> 0) + (t10 >>> 16)) >>> 0;
  folded = (((folded & 65535) >>> 0) + (folded >>> 16)) >>> 0;
  return (((folded & 0xffff) ^ 4294967295) >>> 0) & 0xffff;
}

function replaceLong$(checksum, from, to) {
  let folded = 0;
  const t20 = ((((((((((checksum ^ 4294967295) >>> 0) & 0xffff) + ((((from >>> 16) ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (((from ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (to >>> 16)) >>> 0) + (to & 0xffff)) >>> 0;
  folded = (((t20 & 65535) >>> 0) + (t20 >>> 16)) >>> 0;
  folded = (((folded & 65535) >>> 0) + (folded >>> 16)) >>> 0;
  return (((folded & 0xffff) ^ 4294967295) >>> 0) & 0xffff;
}

function replaceIpv6Address$(checksum, from, to) {
  let folded = 0, sum = 0, folded_2 = 0, folded_3 = 0, folded_4 = 0;
  const t4 = swap32(memory.getUint32(from, true));
  const t6 = swap32(memory.getUint32(to, true));
  const t24 = ((((((((((checksum ^ 4294967295) >>> 0) & 0xffff) + ((((t4 >>> 16) ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (((t4 ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (t6 >>> 16)) >>> 0) + (t6 & 0xffff)) >>> 0;
  folded = (((t24 & 65535) >>> 0) + (t24 >>> 16)) >>> 0;
  folded = (((folded & 65535) >>> 0) + (folded >>> 16)) >>> 0;
  sum = (((folded & 0xffff) ^ 4294967295) >>> 0) & 0xffff;
  const t47 = swap32(memory.getUint32(from + 4, true));
  const t49 = swap32(memory.getUint32(to + 4, true));
  const t67 = ((((((((((sum ^ 4294967295) >>> 0) & 0xffff) + ((((t47 >>> 16) ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (((t47 ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (t49 >>> 16)) >>> 0) + (t49 & 0xffff)) >>> 0;
  folded_2 = (((t67 & 65535) >>> 0) + (t67 >>> 16)) >>> 0;
  folded_2 = (((folded_2 & 65535) >>> 0) + (folded_2 >>> 16)) >>> 0;
  sum = (((folded_2 & 0xffff) ^ 4294967295) >>> 0) & 0xffff;
  const t90 = swap32(memory.getUint32(from + 8, true));
  const t92 = swap32(memory.getUint32(to + 8, true));
  const t110 = ((((((((((sum ^ 4294967295) >>> 0) & 0xffff) + ((((t90 >>> 16) ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (((t90 ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (t92 >>> 16)) >>> 0) + (t92 & 0xffff)) >>> 0;
  folded_3 = (((t110 & 65535) >>> 0) + (t110 >>> 16)) >>> 0;
  folded_3 = (((folded_3 & 65535) >>> 0) + (folded_3 >>> 16)) >>> 0;
  sum = (((folded_3 & 0xffff) ^ 4294967295) >>> 0) & 0xffff;
  const t133 = swap32(memory.getUint32(from + 12, true));
  const t135 = swap32(memory.getUint32(to + 12, true));
  const t153 = ((((((((((sum ^ 4294967295) >>> 0) & 0xffff) + ((((t133 >>> 16) ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (((t133 ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + (t135 >>> 16)) >>> 0) + (t135 & 0xffff)) >>> 0;
  folded_4 = (((t153 & 65535) >>> 0) + (t153 >>> 16)) >>> 0;
  folded_4 = (((folded_4 & 65535) >>> 0) + (folded_4 >>> 16)) >>> 0;
  return (((folded_4 & 0xffff) ^ 4294967295) >>> 0) & 0xffff;
}

function udpChecksum$(before, changed) {
  let value = 0;
  if (before === 0) {
    return 0;
  } else {
    if (changed === 0) {
      value = 65535;
    } else {
      value = changed;
    }
    return value;
  }
}

function ipv4Checksum$(ip) {
  let sum = 0, folded = 0;
  sum = ((((((memory.getUint8(ip) >>> 4) << 4) >>> 0) | ((memory.getUint8(ip) & 15) >>> 0)) >>> 0) << 8) >>> 0;
  sum = (sum + memory.getUint8(ip + 1)) >>> 0;
  sum = (sum + swap16(memory.getUint16(ip + 2, true))) >>> 0;
  sum = (sum + swap16(memory.getUint16(ip + 4, true))) >>> 0;
  sum = (sum + swap16(memory.getUint16(ip + 6, true))) >>> 0;
  sum = (sum + ((((memory.getUint8(ip + 8) << 8) >>> 0) | memory.getUint8(ip + 9)) >>> 0)) >>> 0;
  sum = (sum + (swap32(memory.getUint32(ip + 12, true)) >>> 16)) >>> 0;
  sum = (sum + ((swap32(memory.getUint32(ip + 12, true)) & 65535) >>> 0)) >>> 0;
  sum = (sum + (swap32(memory.getUint32(ip + 16, true)) >>> 16)) >>> 0;
  sum = (sum + ((swap32(memory.getUint32(ip + 16, true)) & 65535) >>> 0)) >>> 0;
  const t68 = sum;
  folded = (((t68 & 65535) >>> 0) + (t68 >>> 16)) >>> 0;
  folded = (((folded & 65535) >>> 0) + (folded >>> 16)) >>> 0;
  return (((folded & 0xffff) ^ 4294967295) >>> 0) & 0xffff;
}

function decrementTtl$(ip) {
  let folded = 0;
  const t5 = (((memory.getUint8(ip + 8) << 8) >>> 0) | memory.getUint8(ip + 9)) >>> 0;
  memory.setUint8(ip + 8, ((memory.getUint8(ip + 8) - 1) >>> 0) & 0xff);
  const t25 = ((((((swap16(memory.getUint16(ip + 10, true)) ^ 4294967295) >>> 0) & 0xffff) + (((t5 ^ 4294967295) >>> 0) & 0xffff)) >>> 0) + ((((memory.getUint8(ip + 8) << 8) >>> 0) | memory.getUint8(ip + 9)) >>> 0)) >>> 0;
  folded = (((t25 & 65535) >>> 0) + (t25 >>> 16)) >>> 0;
  folded = (((folded & 65535) >>> 0) + (folded >>> 16)) >>> 0;
  memory.setUint16(ip + 10, swap16((((folded & 0xffff) ^ 4294967295) >>> 0) & 0xffff), true);
  return;
}

export function foldChecksum(sum) {
  return foldChecksum$(sum >>> 0);
}

export function internetChecksum(bytes_) {
  const $start = top;
  const bytes_$ = enter((1 * bytes_.length + 7) & ~7);
  for (let $index = 0; $index < bytes_.length; $index++) memory.setUint8(bytes_$ + 1 * $index, bytes_[$index]);
  const $result = internetChecksum$(bytes_$, bytes_.length);
  top = $start;
  return $result;
}

export function replaceWord(checksum, from, to) {
  return replaceWord$(checksum & 0xffff, from & 0xffff, to & 0xffff);
}

export function replaceLong(checksum, from, to) {
  return replaceLong$(checksum & 0xffff, from >>> 0, to >>> 0);
}

export function replaceIpv6Address(checksum, from, to) {
  const $start = top;
  const from$ = enter(16);
  zero(from$, 16);
  memory.setUint32(from$, from.w0);
  memory.setUint32(from$ + 4, from.w1);
  memory.setUint32(from$ + 8, from.w2);
  memory.setUint32(from$ + 12, from.w3);
  const to$ = enter(16);
  zero(to$, 16);
  memory.setUint32(to$, to.w0);
  memory.setUint32(to$ + 4, to.w1);
  memory.setUint32(to$ + 8, to.w2);
  memory.setUint32(to$ + 12, to.w3);
  const $result = replaceIpv6Address$(checksum & 0xffff, from$, to$);
  from.w0 = memory.getUint32(from$);
  from.w1 = memory.getUint32(from$ + 4);
  from.w2 = memory.getUint32(from$ + 8);
  from.w3 = memory.getUint32(from$ + 12);
  to.w0 = memory.getUint32(to$);
  to.w1 = memory.getUint32(to$ + 4);
  to.w2 = memory.getUint32(to$ + 8);
  to.w3 = memory.getUint32(to$ + 12);
  top = $start;
  return $result;
}

export function udpChecksum(before, changed) {
  return udpChecksum$(before & 0xffff, changed & 0xffff);
}

export function ipv4Checksum(ip) {
  const $start = top;
  const ip$ = enter(24);
  zero(ip$, 20);
  memory.setUint8(ip$, memory.getUint8(ip$) | ((ip.ihl & 15) << 0));
  memory.setUint8(ip$, memory.getUint8(ip$) | ((ip.version & 15) << 4));
  memory.setUint8(ip$ + 1, ip.tos);
  memory.setUint16(ip$ + 2, ip.length);
  memory.setUint16(ip$ + 4, ip.identification);
  memory.setUint16(ip$ + 6, ip.fragment);
  memory.setUint8(ip$ + 8, ip.ttl);
  memory.setUint8(ip$ + 9, ip.protocol);
  memory.setUint16(ip$ + 10, ip.checksum);
  memory.setUint32(ip$ + 12, ip.source);
  memory.setUint32(ip$ + 16, ip.destination);
  const $result = ipv4Checksum$(ip$);
  ip.ihl = ((memory.getUint8(ip$) >>> 0) & 15) >>> 0;
  ip.version = ((memory.getUint8(ip$) >>> 4) & 15) >>> 0;
  ip.tos = memory.getUint8(ip$ + 1);
  ip.length = memory.getUint16(ip$ + 2);
  ip.identification = memory.getUint16(ip$ + 4);
  ip.fragment = memory.getUint16(ip$ + 6);
  ip.ttl = memory.getUint8(ip$ + 8);
  ip.protocol = memory.getUint8(ip$ + 9);
  ip.checksum = memory.getUint16(ip$ + 10);
  ip.source = memory.getUint32(ip$ + 12);
  ip.destination = memory.getUint32(ip$ + 16);
  top = $start;
  return $result;
}

export function decrementTtl(ip) {
  const $start = top;
  const ip$ = enter(24);
  zero(ip$, 20);
  memory.setUint8(ip$, memory.getUint8(ip$) | ((ip.ihl & 15) << 0));
  memory.setUint8(ip$, memory.getUint8(ip$) | ((ip.version & 15) << 4));
  memory.setUint8(ip$ + 1, ip.tos);
  memory.setUint16(ip$ + 2, ip.length);
  memory.setUint16(ip$ + 4, ip.identification);
  memory.setUint16(ip$ + 6, ip.fragment);
  memory.setUint8(ip$ + 8, ip.ttl);
  memory.setUint8(ip$ + 9, ip.protocol);
  memory.setUint16(ip$ + 10, ip.checksum);
  memory.setUint32(ip$ + 12, ip.source);
  memory.setUint32(ip$ + 16, ip.destination);
  decrementTtl$(ip$);
  ip.ihl = ((memory.getUint8(ip$) >>> 0) & 15) >>> 0;
  ip.version = ((memory.getUint8(ip$) >>> 4) & 15) >>> 0;
  ip.tos = memory.getUint8(ip$ + 1);
  ip.length = memory.getUint16(ip$ + 2);
  ip.identification = memory.getUint16(ip$ + 4);
  ip.fragment = memory.getUint16(ip$ + 6);
  ip.ttl = memory.getUint8(ip$ + 8);
  ip.protocol = memory.getUint8(ip$ + 9);
  ip.checksum = memory.getUint16(ip$ + 10);
  ip.source = memory.getUint32(ip$ + 12);
  ip.destination = memory.getUint32(ip$ + 16);
  top = $start;
}
