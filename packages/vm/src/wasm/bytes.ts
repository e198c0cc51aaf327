const encoder = new TextEncoder();

/** Bytes of a module, growing. */
export class Bytes {
  /** Most stay small, and so small an array is cheap. */
  private data = new Uint8Array(64);
  private used = 0;

  get length(): number {
    return this.used;
  }

  private room(count: number): void {
    if (this.used + count <= this.data.length) return;
    const grown = new Uint8Array(Math.max(this.data.length * 2, this.used + count));
    grown.set(this.data.subarray(0, this.used));
    this.data = grown;
  }

  byte(value: number): void {
    this.room(1);
    this.data[this.used++] = value;
  }

  bytes(values: Uint8Array | readonly number[]): void {
    this.room(values.length);
    this.data.set(values, this.used);
    this.used += values.length;
  }

  /** LEB128, unsigned 32 bits. */
  u32(value: number): void {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** LEB128, signed 32 bits. */
  s32(value: number): void {
    let rest = value | 0;
    for (;;) {
      const low = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) {
        this.byte(low);
        return;
      }
      this.byte(low | 0x80);
    }
  }

  /** LEB128, signed 64 bits, from two words. */
  s64(low: number, high: number): void {
    if (high === low >> 31) {
      this.s32(low);
      return;
    }
    let rest = (BigInt(high) << 32n) | BigInt(low >>> 0);
    for (;;) {
      const part = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && (part & 0x40) === 0) || (rest === -1n && (part & 0x40) !== 0)) {
        this.byte(part);
        return;
      }
      this.byte(part | 0x80);
    }
  }

  text(value: string): void {
    const bytes = encoder.encode(value);
    this.u32(bytes.length);
    this.bytes(bytes);
  }

  /** A copy of what was written. */
  done(): Uint8Array {
    return this.data.slice(0, this.used);
  }

  view(): Uint8Array {
    return this.data.subarray(0, this.used);
  }
}
