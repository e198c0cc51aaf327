import { ByteReader } from "../bytes.ts";
import { ObjectError } from "../errors.ts";
import { btfLayout, decodeType, joinStrings, typeSize } from "./decode.ts";
import type { BtfLayout, BtfStrings } from "./decode.ts";
import { essentialName } from "./flavor.ts";
import { NameIndex } from "./name-index.ts";
import type { BtfType, BtfView } from "./types.ts";
import { typeName } from "./walk.ts";

/** BTF over its bytes: only offsets are read at once, a type is decoded when it is asked for. */
export interface OpenBtf extends BtfView {
  /** What split BTF needs of its base. */
  readonly strings: BtfStrings;
  readonly byteOrder: "little" | "big";
}

/**
 * Opens a `.BTF` section or a file of /sys/kernel/btf without decoding it: some ten milliseconds for a kernel's 130,000 types.
 * The bytes must not change afterwards. `base`: for split BTF of a kernel module.
 * Throws `ObjectError` `btf` for damage of the frame; damage within a type is thrown when that type is asked for.
 */
export function openBtf(bytes: Uint8Array, base?: OpenBtf): OpenBtf {
  return new LazyBtf(bytes, base);
}

class LazyBtf implements OpenBtf {
  readonly end: number;
  readonly firstId: number;
  readonly strings: BtfStrings;
  readonly byteOrder: "little" | "big";
  private readonly base: OpenBtf | undefined;
  private readonly layout: BtfLayout;
  private readonly reader: ByteReader;
  /** Of type `firstId + index`. */
  private readonly offsets: Uint32Array;
  private readonly decoded = new Map<number, BtfType>();
  private nameIndex: NameIndex | undefined;

  constructor(bytes: Uint8Array, base: OpenBtf | undefined) {
    this.layout = btfLayout(bytes, base !== undefined);
    this.byteOrder = this.layout.byteOrder;
    this.reader = new ByteReader(bytes, this.byteOrder, ".BTF");
    this.strings = joinStrings(this.layout.strings, base?.strings);
    this.base = base;
    this.firstId = base?.end ?? 1;
    this.offsets = findTypes(this.reader, this.layout);
    this.end = this.firstId + this.offsets.length;
  }

  get(id: number): BtfType | null {
    if (id === 0) return null;
    if (id < this.firstId && this.base !== undefined) return this.base.get(id);
    const known = this.decoded.get(id);
    if (known !== undefined) return known;
    const offset = this.offsets[id - this.firstId];
    if (offset === undefined) throw new ObjectError("btf", `there is no type ${id}`);
    const { type } = decodeType(this.reader, offset, { strings: this.strings, limit: this.layout.typesEnd });
    this.decoded.set(id, type);
    return type;
  }

  named(name: string): readonly number[] {
    const own = this.index.find(name).filter((id) => this.nameOf(id) === name);
    return this.base === undefined ? own : [...this.base.named(name), ...own];
  }

  flavors(name: string): readonly number[] {
    const plain = this.index.find(name).filter((id) => this.nameOf(id) === name && essentialName(name) === name);
    const flavored = this.index.flavored.filter((id) => essentialName(this.nameOf(id)) === name);
    const own = [...plain, ...flavored].sort((a, b) => a - b);
    return this.base === undefined ? own : [...this.base.flavors(name), ...own];
  }

  private nameOf(id: number): string {
    const type = this.get(id);
    return type === null ? "" : typeName(type);
  }

  private get index(): NameIndex {
    this.nameIndex ??= new NameIndex({
      firstId: this.firstId,
      count: this.offsets.length,
      nameOffset: (index) => this.reader.u32(this.offsets[index] ?? 0),
      strings: this.strings,
    });
    return this.nameIndex;
  }
}

function findTypes(reader: ByteReader, layout: BtfLayout): Uint32Array {
  const { view, little } = reader;
  const offsets = new Uint32Array(Math.floor((layout.typesEnd - layout.typesOffset) / 12));
  let count = 0;
  let at = layout.typesOffset;
  while (at < layout.typesEnd) {
    if (at + 12 > layout.typesEnd) throw new ObjectError("btf", "a type is cut off", { section: ".BTF", offset: at });
    offsets[count++] = at;
    at += typeSize(view.getUint32(at + 4, little), at, layout.tails);
  }
  if (at !== layout.typesEnd) throw new ObjectError("btf", "the last type is cut off", { section: ".BTF" });
  return offsets.slice(0, count);
}
