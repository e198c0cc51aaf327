import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { array, be16, be32, bool, bits, i32, i8, struct, u16, u32, u64, u8 } from "@skep/bpf";
import { BtfBuilder, type BtfTypes } from "@skep/object";
import { bytesCodec, codecOfShape, codecOfType } from "./codec.ts";
import { shapeOfDescriptor } from "./descriptor.ts";
import { fieldReader, numberReader } from "./fields.ts";
import { type Shape, ShapeError, shapeOf } from "./shape.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** A shape with values for it. */
interface Sample {
  readonly shape: Shape;
  readonly value: fc.Arbitrary<unknown>;
}

const sizes = [1, 2, 4, 8] as const;
const integer = (size: (typeof sizes)[number], signed: boolean): fc.Arbitrary<unknown> => {
  const width = BigInt(size * 8);
  const min = signed ? -(1n << (width - 1n)) : 0n;
  const max = signed ? (1n << (width - 1n)) - 1n : (1n << width) - 1n;
  return size === 8 ? fc.bigInt({ min, max }) : fc.integer({ min: Number(min), max: Number(max) });
};

const leaf: fc.Arbitrary<Sample> = fc.oneof(
  fc
    .record({ size: fc.constantFrom(...sizes), signed: fc.boolean(), bigEndian: fc.boolean() })
    .map(({ size, signed, bigEndian }) => ({
      shape: { kind: "int", size, signed, bigEndian } as const,
      value: integer(size, signed),
    })),
  fc.constant({ shape: { kind: "bool", size: 1 } as const, value: fc.boolean() }),
  fc.constant({ shape: { kind: "float", size: 8 } as const, value: fc.double({ noNaN: true }) }),
  fc.integer({ min: 1, max: 20 }).map((size) => ({
    shape: { kind: "text", size } as const,
    value: fc.string({
      maxLength: size,
      unit: fc.integer({ min: 1, max: 126 }).map((code) => String.fromCharCode(code)),
    }),
  })),
  fc.integer({ min: 1, max: 20 }).map((size) => ({
    shape: { kind: "bytes", size } as const,
    value: fc.uint8Array({ minLength: size, maxLength: size }),
  })),
);

const arrayOf = (inner: fc.Arbitrary<Sample>): fc.Arbitrary<Sample> =>
  fc.tuple(inner, fc.integer({ min: 0, max: 20 })).map(([{ shape, value }, length]) => ({
    shape: { kind: "array", size: shape.size * length, element: shape, length },
    value: fc.array(value, { minLength: length, maxLength: length }),
  }));

const names = fc.uniqueArray(fc.constantFrom("a", "b", "constructor", "__proto__", "with space", "e", 'q"'), {
  minLength: 1,
});

const structOf = (inner: fc.Arbitrary<Sample>): fc.Arbitrary<Sample> =>
  fc
    .tuple(names, fc.array(fc.tuple(inner, fc.integer({ min: 0, max: 3 })), { minLength: 7, maxLength: 7 }))
    .map(([list, samples]) => {
      let size = 0;
      const members = list.map((name, index) => {
        const [sample, gap] = samples[index]!;
        const member = { name, shape: sample.shape, offset: size + gap, value: sample.value };
        size = member.offset + sample.shape.size;
        return member;
      });
      const value = fc.tuple(...members.map((member) => member.value)).map((values) => {
        const object = {};
        members.forEach(({ name }, index) =>
          Object.defineProperty(object, name, {
            value: values[index],
            enumerable: true,
            configurable: true,
            writable: true,
          }),
        );
        return object;
      });
      return {
        shape: {
          kind: "struct" as const,
          size,
          members: members.map(({ name, shape, offset }) => ({ name, shape, offset })),
        },
        value,
      };
    });

const sample = fc.oneof(
  leaf,
  arrayOf(leaf),
  structOf(fc.oneof(leaf, arrayOf(leaf), structOf(leaf))),
  arrayOf(structOf(leaf)),
);
const withValue = sample.chain(({ shape, value }) => fc.tuple(fc.constant(shape), value));

describe("codecs of a shape", () => {
  test("what is encoded is decoded, and both implementations agree", () => {
    fc.assert(
      fc.property(withValue, ([shape, value]) => {
        const [fast, plain] = [codecOfShape<unknown>(shape), codecOfShape<unknown>(shape, { plain: true })];
        const bytes = fast.encode(value as never);
        expect(hex(plain.encode(value as never))).toBe(hex(bytes));
        expect(fast.decode(bytes)).toEqual(value);
        expect(plain.decode(bytes)).toEqual(value);
        expect(Object.getOwnPropertyNames(fast.decode(bytes) ?? {})).toEqual(Object.getOwnPropertyNames(value ?? {}));
      }),
      { numRuns: 300 },
    );
  });

  test("decoding any bytes gives the same in both, and encodes to what the fields cover", () => {
    fc.assert(
      fc.property(sample, fc.uint8Array({ minLength: 600, maxLength: 600 }), ({ shape }, noise) => {
        const [fast, plain] = [codecOfShape<unknown>(shape), codecOfShape<unknown>(shape, { plain: true })];
        if (shape.size > noise.length) return;
        expect(fast.decode(noise)).toEqual(plain.decode(noise));
      }),
      { numRuns: 200 },
    );
  });

  test.each([
    ["u8 above", { kind: "int", size: 1, signed: false, bigEndian: false }, 256],
    ["u8 below", { kind: "int", size: 1, signed: false, bigEndian: false }, -1],
    ["i16 above", { kind: "int", size: 2, signed: true, bigEndian: true }, 32768],
    ["u32 above", { kind: "int", size: 4, signed: false, bigEndian: false }, 2 ** 32],
    ["i32 fraction", { kind: "int", size: 4, signed: true, bigEndian: false }, 1.5],
    ["u32 text", { kind: "int", size: 4, signed: false, bigEndian: false }, "1"],
    ["u64 above", { kind: "int", size: 8, signed: false, bigEndian: false }, 1n << 64n],
    ["u64 below", { kind: "int", size: 8, signed: false, bigEndian: false }, -1n],
    ["i64 above", { kind: "int", size: 8, signed: true, bigEndian: false }, 1n << 63n],
    ["bool number", { kind: "bool", size: 1 }, 1],
    ["text too long", { kind: "text", size: 2 }, "abc"],
    ["bytes too short", { kind: "bytes", size: 2 }, new Uint8Array(1)],
    ["array too short", { kind: "array", size: 2, length: 2, element: { kind: "bool", size: 1 } }, [true]],
    [
      "field missing",
      { kind: "struct", size: 1, members: [{ name: "a", offset: 0, shape: { kind: "bool", size: 1 } }] },
      {},
    ],
    ["no object", { kind: "struct", size: 0, members: [] }, null],
    [
      "no view of a union",
      { kind: "union", size: 1, members: [{ name: "a", offset: 0, shape: { kind: "bool", size: 1 } }] },
      {},
    ],
  ] as const)("%s is refused by both", (_, shape, value) => {
    for (const plain of [true, false])
      expect(() => codecOfShape(shape as Shape, { plain }).encode(value as never)).toThrow(RangeError);
  });

  test("numbers where bigints are wanted, and bigints where numbers are, are taken when they fit", () => {
    for (const plain of [true, false]) {
      const wide = codecOfShape<unknown>({ kind: "int", size: 8, signed: false, bigEndian: true }, { plain });
      expect(hex(wide.encode(258))).toBe("0000000000000102");
      const narrow = codecOfShape<unknown>({ kind: "int", size: 2, signed: false, bigEndian: true }, { plain });
      expect(hex(narrow.encode(258n))).toBe("0102");
    }
  });

  test("an error names the place", () => {
    const element: Shape = {
      kind: "struct",
      size: 1,
      members: [{ name: "port", offset: 0, shape: { kind: "int", size: 1, signed: false, bigEndian: false } }],
    };
    const shape: Shape = { kind: "array", size: 2, length: 2, element };
    for (const plain of [true, false]) {
      const { encode } = codecOfShape<{ port: number }[]>(shape, { plain });
      expect(() => encode([{ port: 1 }, { port: 300 }])).toThrow(
        "value[1].port: an integer from 0 to 255 wanted, got number 300",
      );
    }
  });

  test("fewer bytes than the type has are refused", () => {
    expect(() => bytesCodec(4).decode(new Uint8Array(3))).toThrow(RangeError);
  });
});

/** Every field of a struct with its path. */
function pathsOf(shape: Shape, prefix = ""): string[] {
  if (shape.kind !== "struct") return [];
  return shape.members.flatMap((member) => [
    `${prefix}${member.name}`,
    ...pathsOf(member.shape, `${prefix}${member.name}.`),
  ]);
}

describe("readers of fields", () => {
  const followed = (value: unknown, path: string): unknown =>
    path.split(".").reduce((each, name) => (each as Record<string, unknown>)[name], value);

  test("read what decoding the whole gives, at any distance", () => {
    const cases = structOf(fc.oneof(leaf, arrayOf(leaf), structOf(leaf)));
    fc.assert(
      fc.property(cases, fc.uint8Array({ minLength: 800, maxLength: 800 }), fc.nat(50), ({ shape }, noise, at) => {
        if (shape.size + at > noise.length) return;
        const view = new DataView(noise.buffer, noise.byteOffset, noise.byteLength);
        const whole = codecOfShape<unknown>(shape).read(view, at);
        for (const path of pathsOf(shape)) {
          expect(fieldReader(shape, path)(view, at)).toEqual(followed(whole, path));
        }
      }),
      { numRuns: 100 },
    );
  });

  test("64 bits as a number, in both byte orders, of both signs", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n }), fc.boolean(), (value, bigEndian) => {
        const int: Shape = { kind: "int", size: 8, signed: true, bigEndian };
        const shape: Shape = { kind: "struct", size: 16, members: [{ name: "n", shape: int, offset: 8 }] };
        const view = new DataView(codecOfShape<unknown>(shape).encode({ n: value }).buffer);
        expect(numberReader(shape, "n")(view, 0)).toBe(Number(value));
      }),
    );
  });

  test("the fields of anonymous members are the outer's; bits are read by their place", () => {
    const inner: Shape = {
      kind: "union",
      size: 4,
      members: [
        {
          name: "low",
          shape: { kind: "int", size: 4, signed: false, bigEndian: false },
          offset: 0,
          bits: { shift: 3, width: 7 },
        },
      ],
    };
    const shape: Shape = { kind: "struct", size: 8, members: [{ name: "", shape: inner, offset: 4 }] };
    const view = new DataView(codecOfShape<unknown>(shape).encode({ low: 77 }).buffer);
    expect(fieldReader(shape, "low")(view, 0)).toBe(77);
    expect(() => fieldReader(shape, "high")).toThrow(ShapeError);
  });
});

describe("types of @skep/bpf", () => {
  const Deep = struct("Deep", { a: bits(u32, 5), b: bits(u32, 27), c: i8 });
  const Wide = struct("Wide", {
    flag: bool,
    at: be16,
    deep: Deep,
    list: array(be32, 3),
    total: u64,
    small: u8,
    odd: i32,
    port: u16,
  });

  test("have the shape that they read and write", () => {
    const codec = codecOfShape<unknown>(shapeOfDescriptor(Wide));
    expect(codec.size).toBe(Wide.size);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: Wide.size, maxLength: Wide.size }), (bytes) => {
        const value = Wide.decode(bytes);
        expect(codec.decode(bytes)).toEqual(value);
        expect(hex(codec.encode(value as never))).toBe(hex(Wide.encode(value)));
      }),
    );
  });
});

describe("bit fields", () => {
  const fields = fc.array(fc.record({ width: fc.integer({ min: 1, max: 64 }), signed: fc.boolean() }), {
    minLength: 1,
    maxLength: 6,
  });
  test("packed back to back, each reads what was written and leaves the others", () => {
    fc.assert(
      fc.property(fields, fc.bigInt({ min: 0n, max: (1n << 384n) - 1n }), (list, noise) => {
        let place = 0;
        const members = list.map(({ width, signed }, index) => {
          const member = {
            name: `f${index}`,
            shape: { kind: "int", size: width > 32 ? 8 : 4, signed, bigEndian: false } as const,
            offset: place >> 3,
            bits: { shift: place & 7, width },
          };
          place += width;
          return member;
        });
        const size = (place + 7) >> 3;
        const total = BigInt.asUintN(place, noise);
        const shape: Shape = { kind: "struct", size, members };
        const expected: Record<string, unknown> = {};
        let at = 0;
        list.forEach(({ width, signed }, index) => {
          const field = total >> BigInt(at);
          const value = signed ? BigInt.asIntN(width, field) : BigInt.asUintN(width, field);
          expected[`f${index}`] = width > 32 ? value : Number(value);
          at += width;
        });
        const bytes = Uint8Array.from({ length: size }, (_, index) => Number((total >> BigInt(index * 8)) & 255n));
        for (const plain of [true, false]) {
          const codec = codecOfShape<unknown>(shape, { plain });
          expect(codec.decode(bytes)).toEqual(expected);
          expect(hex(codec.encode(expected as never))).toBe(hex(bytes));
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** The BTF that a compiler writes for these types. */
function kernelTypes(): { btf: BtfTypes; id: Record<string, number> } {
  const b = new BtfBuilder();
  const unsigned = [1, 2, 4, 8].map((size) =>
    b.intType(
      ["unsigned char", "unsigned short", "unsigned int", "unsigned long long"][[1, 2, 4, 8].indexOf(size)]!,
      size,
      "unsigned",
    ),
  );
  const [byte, short, word, long] = unsigned as [number, number, number, number];
  const be2 = b.typedef("be16", short);
  const be4 = b.typedef("__be32", word);
  const flag = b.intType("bool", 1, "bool");
  const text = b.array(b.intType("char", 1, "signed"), 8);
  const signedWord = b.intType("int", 4, "signed");
  const pair = b.struct("", [
    { name: "low", typeId: word },
    { name: "high", typeId: word },
  ]);
  const either = b.union("", [
    { name: "whole", typeId: long },
    { name: "", typeId: pair },
  ]);
  const record = b.struct("record", [
    { name: "port", typeId: b.modifier("const", be2) },
    { name: "on", typeId: flag },
    { name: "address", typeId: be4 },
    { name: "", typeId: either },
    { name: "comm", typeId: text },
    { name: "delta", typeId: signedWord },
    { name: "mac", typeId: b.array(byte, 6) },
    { name: "next", typeId: b.pointer(0) },
  ]);
  const color = b.enumType("color", { RED: 0, BLUE: 2 });
  const far = b.enumType("far", { FAR: 1n << 40n });
  const wide = b.intType("__int128", 16, "unsigned");
  return { btf: b.build(), id: { record, color, far, wide, word, text, either } };
}

describe("codecs of BTF", () => {
  const { btf, id } = kernelTypes();

  test("a struct with every kind of field", () => {
    const codec = codecOfType<Record<string, unknown>>(btf, id["record"]!);
    expect(codec.size).toBe(48);
    const value = {
      port: 80,
      on: true,
      address: 0x0a000001,
      whole: 0x0000_0002_0000_0001n,
      low: 1,
      high: 2,
      comm: "skep",
      delta: -2,
      mac: [1, 2, 3, 4, 5, 6],
      next: 0xffff_8880_0000_1000n,
    };
    const bytes = codec.encode(value);
    expect(hex(bytes)).toBe(
      [
        "005001",
        "00",
        "0a000001",
        "0100000002000000",
        "736b657000000000",
        "feffffff",
        "010203040506",
        "000000000000",
        "001000008088ffff",
      ].join(""),
    );
    expect(codec.decode(bytes)).toEqual(value);
    const { whole: _, ...parts } = value;
    expect(hex(codec.encode(parts))).toBe(hex(bytes));
    expect(() => codec.encode({ ...parts, low: undefined })).toThrow("value.low is missing");
    expect(() => codec.encode({ ...parts, low: undefined, high: undefined })).toThrow(
      "one of whole, low, high is wanted",
    );
  });

  test("enums, 128-bit integers and void", () => {
    expect(codecOfType<number>(btf, id["color"]!).decode(Uint8Array.of(2, 0, 0, 0))).toBe(2);
    expect(codecOfType<bigint>(btf, id["far"]!).decode(Uint8Array.of(0, 0, 0, 0, 0, 1, 0, 0))).toBe(1n << 40n);
    expect(codecOfType(btf, id["wide"]!).decode(new Uint8Array(16).fill(7))).toEqual(new Uint8Array(16).fill(7));
    expect(() => shapeOf(btf, 0)).toThrow(ShapeError);
    expect(() => shapeOf(btf, 4096)).toThrow(ShapeError);
  });

  test("a struct that contains itself is damage, not a hang", () => {
    const loop: BtfTypes = {
      types: [
        {
          kind: "struct",
          name: "x",
          size: 4,
          hasBitfields: false,
          members: [{ name: "x", typeId: 1, bitOffset: 0, bitSize: 0 }],
        },
        { kind: "typedef", name: "t", typeId: 2 },
      ],
    };
    expect(() => shapeOf(loop, 1)).toThrow(ShapeError);
    expect(() => shapeOf(loop, 2)).toThrow(ShapeError);
  });
});

describe("beside the types of @skep/bpf", () => {
  const Inner = struct("Inner", { a: i8, b: be32, c: array(u16, 3) });
  const Outer = struct("Outer", {
    flag: bool,
    inner: Inner,
    wide: u64,
    list: array(Inner, 2),
    port: be16,
    last: i32,
    x: bits(u8, 3),
    y: bits(u8, 5),
  });

  /** As the compiler writes it. */
  function outer(): { btf: BtfTypes; id: number } {
    const b = new BtfBuilder();
    const [one, two, four, eight] = [
      b.intType("u8", 1, "unsigned"),
      b.intType("u16", 2, "unsigned"),
      b.intType("u32", 4, "unsigned"),
      b.intType("u64", 8, "unsigned"),
    ];
    const inner = b.struct("Inner", [
      { name: "a", typeId: b.intType("i8", 1, "signed") },
      { name: "b", typeId: b.typedef("be32", four) },
      { name: "c", typeId: b.array(two, 3) },
    ]);
    const id = b.struct("Outer", [
      { name: "flag", typeId: b.intType("bool", 1, "bool") },
      { name: "inner", typeId: inner },
      { name: "wide", typeId: eight },
      { name: "list", typeId: b.array(inner, 2) },
      { name: "port", typeId: b.typedef("be16", two) },
      { name: "last", typeId: b.intType("i32", 4, "signed") },
      { name: "x", typeId: one, bitOffset: 72 * 8, bitSize: 3 },
      { name: "y", typeId: one, bitOffset: 72 * 8 + 3, bitSize: 5 },
    ]);
    return { btf: b.build(), id };
  }

  test("both codecs write and read the same bytes", () => {
    const { btf, id } = outer();
    const codec = codecOfType(btf, id);
    expect(codec.size).toBe(Outer.size);
    const noise = Uint8Array.from({ length: Outer.size }, (_, at) => (at * 37 + 11) & 255);
    noise[0] = 1;
    const value = Outer.decode(noise);
    expect(codec.decode(noise)).toEqual(value);
    expect(hex(codec.encode(value as never))).toBe(hex(Outer.encode(value)));
    expect(u32.size).toBe(4);
  });
});
