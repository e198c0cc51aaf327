/**
 * @module
 * The shape of a type of `@skep/bpf`: for what the object has no BTF of.
 */
import {
  codecOf,
  type AggregateCodec,
  type ArrayCodec,
  type BitsCodec,
  type Codec,
  type IntCodec,
  type Type,
} from "@skep/bpf";
import type { Member, Shape } from "./shape.ts";

/** Throws TypeError for what is no type of `@skep/bpf`. */
export function shapeOfDescriptor(type: Type<unknown>): Shape {
  return shape(codecOf(type));
}

function shape(codec: Codec): Shape {
  switch (codec.kind) {
    case "int":
      return intShape(codec as IntCodec);
    case "bits":
      return intShape((codec as BitsCodec).unit);
    case "bool":
      return { kind: "bool", size: 1 };
    case "array": {
      const { element, length, size } = codec as ArrayCodec;
      return { kind: "array", size, element: shape(element), length };
    }
    case "owned":
      return { kind: "owned", size: 8 };
    case "struct":
    case "union":
      return { kind: codec.kind, size: codec.size, members: (codec as AggregateCodec).members.map(member) };
  }
}

function intShape({ size, signed, bigEndian }: IntCodec): Shape {
  return { kind: "int", size: size as 1 | 2 | 4 | 8, signed, bigEndian: bigEndian && size > 1 };
}

function member({ name, codec, offset, shift }: AggregateCodec["members"][number]): Member {
  const inner = shape(codec);
  if (codec.kind !== "bits") return { name, shape: inner, offset };
  const { bits: width } = codec as BitsCodec;
  return { name, shape: inner, offset: offset + (shift >> 3), bits: { shift: shift & 7, width } };
}
