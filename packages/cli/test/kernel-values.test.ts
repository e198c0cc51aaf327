// Words, keys and values, and what is printed: without a kernel.
import { BtfBuilder, type BtfTypes, viewOf } from "@skep/object";
import { describe, expect, it } from "vitest";
import { formatInstruction, assemble } from "@skep/isa";
import { splitLine } from "../src/kernel/batch.ts";
import { bpftoolOrder } from "../src/define/kernel.ts";
import type { CodeLine } from "../src/kernel/prog-code.ts";
import { functionsGraph } from "../src/kernel/prog-graph.ts";
import { Progress } from "../src/kernel/progress.ts";
import { prototypeOf } from "../src/kernel/proto.ts";
import { hexDump } from "../src/kernel/prog-run.ts";
import { delegations } from "../src/kernel/token.ts";
import { Fields, toJson, toPlain, toText } from "../src/kernel/tree.ts";
import { assignments, type DataType, parseData } from "../src/kernel/values/data.ts";
import { readerOf, type Style } from "../src/kernel/values/decode.ts";
import { encodeValue, parseJson } from "../src/kernel/values/encode.ts";
import { Words } from "../src/kernel/words.ts";

const hex = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

describe("words", () => {
  it("are read one after the other, and say where one is wrong", () => {
    const words = new Words(["id", "0x10", "name"]);
    expect(words.take("pinned")).toBe(false);
    expect(words.take("id")).toBe(true);
    expect(words.number("the id")).toBe(16);
    expect(() => words.end("file FILE")).toThrow('"name" is not understood after "0x10": expected file FILE');
    expect(words.rest()).toEqual(["name"]);
    expect(() => words.next("a name")).toThrow('a name is missing after "name"');
    expect(() => new Words(["1.5"]).number("the id")).toThrow('the id: "1.5" is no whole number');
    expect(() => new Words(["b"]).choice("format", ["raw", "c"])).toThrow('"b" is no format: one of raw, c');
    expect(new Words(["a", "b", "value", "c"]).until(["value"])).toEqual(["a", "b"]);
  });

  it("of bpftool's options before the noun are moved behind", () => {
    expect(bpftoolOrder(["-j", "-f", "prog", "show"])).toEqual(["prog", "show", "-j", "-f"]);
    expect(bpftoolOrder(["-d", "struct_ops", "list"])).toEqual(["struct_ops", "list"]);
    expect(bpftoolOrder(["-j", "status"])).toEqual(["-j", "status"]);
    expect(bpftoolOrder(["policy", "get"])).toEqual(["policy", "get"]);
  });

  it("of a batch's line", () => {
    expect(splitLine(`map update "a b" 'c"d' e\\f "g\\"h" # comment`)).toEqual([
      "map",
      "update",
      "a b",
      'c"d',
      "e\\f",
      'g"h',
    ]);
    expect(splitLine("  # only a comment")).toEqual([]);
    expect(splitLine("a#b ''")).toEqual(["a#b", ""]);
    expect(() => splitLine('a "b')).toThrow('a " is open');
  });
});

describe("trees", () => {
  const tree = new Fields([
    ["a", 2n ** 63n],
    ["", new Fields([["b", [1, "x y"]]])],
    ["", new Fields([["c", null]])],
  ]);

  it("print as JSON with every digit and every member", () => {
    expect(toJson(tree, 0)).toBe('{"a":9223372036854775808,"":{"b":[1,"x y"]},"":{"c":null}}');
    expect(toJson({ a: [], b: {}, c: undefined, d: Infinity }, 0)).toBe('{"a":[],"b":{},"d":null}');
    expect(toJson({ a: [1], b: { c: true } })).toBe('{\n  "a": [\n    1\n  ],\n  "b": {\n    "c": true\n  }\n}');
  });

  it("are plain values with the members of anonymous structs among the others", () => {
    expect(toPlain(tree)).toEqual({ a: "9223372036854775808", b: [1, "x y"], c: null });
    expect(toText(tree)).toBe('{ a: 9223372036854775808, b: [1, "x y"], c: null }');
    const long = toText({ first: "x".repeat(60), second: ["y".repeat(60)] });
    expect(long).toBe(`{\n  first: ${"x".repeat(60)}\n  second: [${"y".repeat(60)}]\n}`);
  });
});

/** Types of every kind that values have. */
function sample(): {
  readonly btf: BtfTypes;
  readonly value: number;
  readonly u32: number;
  readonly section: number;
  readonly func: number;
} {
  const b = new BtfBuilder();
  const u8 = b.intType("u8", 1, "unsigned");
  const u32 = b.intType("u32", 4, "unsigned");
  const s32 = b.intType("int", 4, "signed");
  const u64 = b.intType("u64", 8, "unsigned");
  const char = b.intType("char", 1, "signed");
  const bool = b.intType("_Bool", 1, "bool");
  const types: BtfTypes["types"] = b.build().types;
  const all = [...types];
  const add = (type: BtfTypes["types"][number]): number => all.push(type);
  const be16 = add({ kind: "typedef", name: "__be16", typeId: add({ kind: "int", name: "unsigned short", size: 2, bits: 16, bitOffset: 0, encoding: "unsigned" }) }); // prettier-ignore
  const be32 = add({ kind: "typedef", name: "__be32", typeId: u32 });
  const state = add({ kind: "enum", name: "state", size: 4, signed: true, values: [{ name: "NEW", value: 0 }, { name: "GONE", value: -1 }] }); // prettier-ignore
  const wide = add({
    kind: "enum64",
    name: "wide",
    size: 8,
    signed: false,
    values: [{ name: "HIGH", value: 1n << 63n }],
  });
  const text = add({ kind: "array", typeId: char, indexTypeId: u32, length: 8 });
  const mac = add({ kind: "array", typeId: u8, indexTypeId: u32, length: 6 });
  const six = add({ kind: "array", typeId: u8, indexTypeId: u32, length: 16 });
  const list = add({ kind: "array", typeId: s32, indexTypeId: u32, length: 2 });
  const pointer = add({ kind: "ptr", typeId: 0 });
  const float = add({ kind: "float", name: "double", size: 8 });
  const member = (name: string, typeId: number, at: number, bitSize = 0) => ({ name, typeId, bitOffset: at, bitSize });
  const inner = add({ kind: "union", name: "", size: 4, hasBitfields: false, members: [member("word", u32, 0), member("half", be16, 0)] }); // prettier-ignore
  const value = add({
    kind: "struct",
    name: "value",
    size: 96,
    hasBitfields: true,
    members: [
      member("count", u64, 0),
      member("state", state, 64),
      member("open", bool, 96),
      member("port", be16, 112),
      member("source", be32, 128),
      member("low", u32, 160, 3),
      member("high", s32, 163, 5),
      member("name", text, 192),
      member("mac", mac, 256),
      member("addr6", six, 320),
      member("list", list, 448),
      member("", inner, 512),
      member("wide", wide, 576),
      member("where", pointer, 640),
      member("ratio", float, 704),
    ],
  });
  const variable = add({ kind: "var", name: "limit", typeId: u32, linkage: "global" });
  const section = add({
    kind: "datasec",
    name: ".data",
    size: 8,
    variables: [{ typeId: variable, offset: 4, size: 4 }],
  });
  const proto = add({ kind: "func_proto", returnTypeId: s32, params: [{ name: "v", typeId: add({ kind: "ptr", typeId: value }) }, { name: "", typeId: 0 }] }); // prettier-ignore
  const func = add({ kind: "func", name: "visit", typeId: proto, linkage: "static" });
  return { btf: { types: all }, value, u32, section, func };
}

describe("values by their types", () => {
  const { btf, value, u32, section, func } = sample();
  const words = [
    "count=18446744073709551615", "state=GONE", "open=true", "port=80", "source=10.1.2.3", "low=5", "high=-3", "name=hello",
    "mac=de:ad:be:ef:00:01", "addr6=fd00::1", "list[1]=-7", "half=1", "wide=HIGH", "where=0xffff888000000000", "ratio=0.5",
  ]; // prettier-ignore
  const bytes = encodeValue(viewOf(btf), value, assignments(words, "value"), { host: true });
  const read = (style: Style) => readerOf(viewOf(btf), value, style)(new DataView(bytes.buffer), 0);

  it("are written by field, in the notations of people", () => {
    const expected = [
      "ffffffffffffffff ffffffff 01 00 0050 0a010203 ed000000 68656c6c6f000000 deadbeef0001 0000",
      "fd000000000000000000000000000001 00000000f9ffffff 00010000 00000000 0000000000000080 000000008088ffff",
      "000000000000e03f",
    ];
    expect(hex(bytes)).toBe(expected.join("").replaceAll(" ", ""));
  });

  it("are read for people", () => {
    expect(toPlain(read("people"))).toEqual({
      count: "18446744073709551615",
      state: "GONE",
      open: true,
      port: 80,
      source: "10.1.2.3",
      low: 5,
      high: -3,
      name: "hello",
      mac: "de:ad:be:ef:00:01",
      addr6: "fd00::1",
      list: [0, -7],
      word: 256,
      half: 1,
      wide: "HIGH",
      where: "0xffff888000000000",
      ratio: 0.5,
    });
  });

  it("are read as bpftool has them, and written back", () => {
    const json = toJson(read("bpftool"), 0);
    expect(json).toContain(
      '"port":20480,"source":50462986,"low":"0x5","high":"0x1d","name":"hello","mac":[222,173,190,239,0,1]',
    );
    expect(json).toContain(`"":{"word":256,"half":256},"wide":"HIGH","where":${0xffff888000000000n},"ratio":0.5}`);
    expect(hex(encodeValue(viewOf(btf), value, parseJson(json, "value"), { host: false }))).toBe(hex(bytes));
  });

  it.each([
    [["cnt=1"], "value has no member cnt: it has count, state, open, port"],
    [["count=-1"], "value.count: -1 does not fit 64 bits (0 to 18446744073709551615)"],
    [["count=x"], 'value.count: "x" is no integer'],
    [["state=OLD"], 'value.state: "OLD" is no value of enum state: NEW, GONE'],
    [["name=much_too_long"], 'value.name: "much_too_long" is longer than 8 bytes'],
    [["mac=de:ad"], "value.mac: 2 bytes instead of 6"],
    [["mac=zz"], 'value.mac: "zz" is no address and no bytes'],
    [["list[2]=1"], "value.list[2]: the array has 2 elements"],
    [["low=8"], "value.low: 8 does not fit 3 bits"],
    [["high=16"], ""],
    [["high=32"], "value.high: 32 does not fit 5 bits"],
    [["list=5"], 'value.list: "5" is no list of 2'],
    [["count=1", "count=2"], "value: count is given twice"],
    [["count"], 'value: "count" is no field=value'],
    [["port=65536"], "value.port: 65536 does not fit 16 bits (0 to 65535)"],
    [["ratio=half"], 'value.ratio: "half" is no number'],
  ])("%j: %s", (wrong, message) => {
    const encode = () => encodeValue(viewOf(btf), value, assignments(wrong, "value"), { host: true });
    if (message === "") expect(encode).not.toThrow();
    else expect(encode).toThrow(message);
  });

  it("of data sections are variables", () => {
    const data = encodeValue(viewOf(btf), section, { limit: 7 }, { host: true });
    expect(hex(data)).toBe("0000000007000000");
    expect(toJson(readerOf(viewOf(btf), section, "bpftool")(new DataView(data.buffer), 0), 0)).toBe(
      '{".data":[{"limit":7}]}',
    );
    expect(() => encodeValue(viewOf(btf), section, { limits: 7 }, { host: true })).toThrow(
      "there is no variable limits: there are limit",
    );
  });

  it("of functions have prototypes", () => {
    const types = { ...viewOf(btf), get: (id: number) => viewOf(btf).get(id) } as unknown as Parameters<
      typeof prototypeOf
    >[0];
    expect(prototypeOf(types, func)).toBe("int visit(struct value * v, ...)");
    expect(prototypeOf(types, u32)).toBeNull();
  });

  const typed = (what: string, typeId: number, size: number): DataType => ({ what, size, types: viewOf(btf), typeId });
  const plain: DataType = { what: "key", size: 4 };
  it.each([
    [["1", "2", "0x3", "010"], plain, "01020308"],
    [["hex", "0a", "b", "0C", "0xd"], plain, "0a0b0c0d"],
    [["hex", "0a0b0c0d"], plain, "0a0b0c0d"],
    [["7"], plain, "07000000"],
    [["-1"], plain, "ffffffff"],
    [["7"], typed("key", u32, 4), "07000000"],
    [["10.0.0.1"], typed("key", u32, 4), "0a000001"],
    [["1", "0", "0", "0"], typed("key", u32, 4), "01000000"],
  ])("data %j", (data, type, expected) => expect(hex(parseData(data, type))).toBe(expected));

  it.each([
    [["1", "2", "3"], plain, "key: 3 bytes instead of 4"],
    [["1", "2", "3", "256"], plain, 'key, byte 4: "256" is no byte'],
    [["hex", "1", "2", "3g", "4"], plain, 'key, byte 3: "3g" is no byte'],
    [["hex", "123"], plain, 'key, byte 1: "123" is no byte'],
    [["a=1"], plain, "the map has no types for its key: give 4 bytes"],
    [["4294967296"], plain, "key: 4294967296 does not fit 32 bits"],
    [["x"], typed("key", u32, 4), 'key: "x" is no integer'],
    [["{"], typed("key", u32, 4), "key: no JSON: "],
    [[], plain, "the key is missing"],
  ])("data %j is refused", (data, type, message) => expect(() => parseData(data, type)).toThrow(message));
});

describe("graphs, dumps, delegations", () => {
  it("have a node for each block, and edges where control goes", () => {
    const { instructions } = assemble("if r1 == 0x0 goto +1\nr0 = 1\nexit\n");
    const lines = instructions.map((instruction, slot): CodeLine => ({
      slot,
      instruction,
      text: formatInstruction(instruction),
      bytes: new Uint8Array(8),
      prototype: slot === 0 ? "int f(void)" : null,
      source: null,
    }));
    const graph = functionsGraph(lines);
    expect(graph).toContain('\tsubgraph cluster_0 {\n\t\tlabel="int f(void)";\n');
    expect(graph).toContain('b0 -> b2 [label="true"];\n\t\tb0 -> b1 [label="false"];\n');
    expect(graph).toContain("b1 -> b2;\n");
    expect(graph).not.toContain("b2 ->");
  });

  it("show bytes and text", () => {
    expect(hexDump(Uint8Array.from({ length: 18 }, (_, at) => 0x3f + at))).toBe(
      "0000000  3f 40 41 42 43 44 45 46 47 48 49 4a 4b 4c 4d 4e  ?@ABCDEFGHIJKLMN\n" +
        `0000010  4f 50${" ".repeat(44)}OP\n`,
    );
  });

  it("are read from mounts", () => {
    const mount =
      "42 1 0:30 / /tokens rw - bpf bpf rw,delegate_cmds=map_create:prog_load,delegate_maps=hash,delegate_progs=any";
    expect(delegations(`${mount}\n43 1 0:31 / /sys/fs/bpf rw - bpf bpf rw,mode=700\n`)).toEqual([
      { path: "/tokens", commands: ["map_create", "prog_load"], maps: ["hash"], programs: ["any"], attaches: [] },
    ]);
  });

  it("of progress are one line on a terminal, and nothing elsewhere", () => {
    let written = "";
    const stream = (isTTY: boolean) =>
      ({ isTTY, write: (text: string) => (written += text) !== "" }) as unknown as NodeJS.WriteStream;
    const quiet = new Progress("probing", stream(false));
    quiet.show("maps");
    quiet.end();
    expect(written).toBe("");
    const shown = new Progress("probing", stream(true));
    shown.show("maps");
    shown.end();
    expect(written).toBe("\r\u001b[Kprobing maps\r\u001b[K");
  });
});
