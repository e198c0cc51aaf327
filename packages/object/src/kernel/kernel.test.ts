import { describe, expect, it } from "vitest";
import { golden } from "../../test/golden.ts";
import { BtfBuilder } from "../btf/builder.ts";
import { encodeBtf } from "../btf/encode.ts";
import { openBtf } from "../btf/open.ts";
import { sizeOf } from "../btf/query.ts";
import { viewOf } from "../btf/view.ts";
import { ObjectError } from "../errors.ts";
import { linkProgram } from "../link/program.ts";
import { dataMap } from "../object/read-data.ts";
import type { ObjectSpec } from "../spec.ts";
import { parseKernelConfig, resolveKconfig } from "./kconfig.ts";
import type { KconfigSource } from "./kconfig.ts";
import { resolveSymbols } from "./symbols.ts";

describe(".kconfig", () => {
  const config = parseKernelConfig(
    [
      "# comment",
      "# CONFIG_OFF is not set",
      "CONFIG_HZ=1000",
      "CONFIG_BPF_SYSCALL=y",
      "CONFIG_MODULES=m",
      'CONFIG_DEFAULT_HOSTNAME="a=(none) and much more"',
      "",
    ].join("\n"),
  );

  it("is filled from the kernel's configuration", () => {
    const spec = golden("kconfig");
    const bytes = resolveKconfig(spec, { version: 0x60c00, config }) ?? new Uint8Array();
    const view = new DataView(bytes.buffer);
    const at = (name: string) =>
      spec.maps[".kconfig"]?.data?.variables.find((variable) => variable.name === name)?.offset ?? -1;
    expect(view.getUint32(at("LINUX_KERNEL_VERSION"), true)).toBe(0x60c00);
    expect(view.getUint32(at("CONFIG_HZ"), true)).toBe(1000);
    expect(view.getUint8(at("CONFIG_BPF_SYSCALL"))).toBe(1);
    expect(view.getUint32(at("CONFIG_MODULES"), true)).toBe(2);
    expect(
      new TextDecoder().decode(bytes.subarray(at("CONFIG_DEFAULT_HOSTNAME"), at("CONFIG_DEFAULT_HOSTNAME") + 16)),
    ).toBe("a=(none) and mu\0");
    expect(view.getBigUint64(at("CONFIG_SKEP_IS_NO_OPTION"), true)).toBe(0n);
  });

  it("lies as libbpf lays it out: by alignment, size, name", () => {
    const variables = golden("kconfig").maps[".kconfig"]?.data?.variables ?? [];
    expect(variables.map(({ name, offset }) => [name, offset])).toEqual([
      ["CONFIG_SKEP_IS_NO_OPTION", 0],
      ["CONFIG_HZ", 8],
      ["CONFIG_MODULES", 12],
      ["LINUX_KERNEL_VERSION", 16],
      ["CONFIG_BPF_SYSCALL", 20],
      ["CONFIG_DEFAULT_HOSTNAME", 21],
    ]);
  });

  type Make = (b: BtfBuilder) => number;
  const bool: Make = (b) => b.intType("_Bool", 1, "bool");
  const int: Make = (b) => b.intType("int", 4, "signed");
  const u16: Make = (b) => b.intType("u16", 2, "unsigned");
  const char: Make = (b) => b.intType("char", 1, "signed");
  const text: Make = (b) => b.array(char(b), 4);
  const tristate: Make = (b) => b.enumType("libbpf_tristate", { TRI_NO: 0, TRI_YES: 1, TRI_MODULE: 2 });

  function one(
    make: Make,
    value: string | null,
    options: { name?: string; weak?: boolean; byteOrder?: "little" | "big" } = {},
  ) {
    const b = new BtfBuilder();
    const typeId = make(b);
    const size = sizeOf(b, typeId) ?? 0;
    const name = options.name ?? "CONFIG_X";
    const variables = [{ name, offset: 0, size, typeId, ...(options.weak === true ? { weak: true as const } : {}) }];
    const spec: ObjectSpec = {
      license: "",
      byteOrder: options.byteOrder ?? "little",
      programs: {},
      functions: {},
      btf: b.build(),
      maps: {
        ".kconfig": dataMap({ name: ".kconfig", data: { contents: new Uint8Array(size), readOnly: true, variables } }),
      },
    };
    const source: KconfigSource = {
      version: 1,
      config: new Map(value === null ? [] : [["CONFIG_X", value]]),
      features: new Map([["LINUX_HAS_BPF_COOKIE", 1n]]),
    };
    return [...(resolveKconfig(spec, source) ?? [])];
  }

  it.each<[string, Make, string, number[]]>([
    ["y for bool", bool, "y", [1]],
    ["n for bool", bool, "n", [0]],
    ["m for tristate", tristate, "m", [2, 0, 0, 0]],
    ["y for char", char, "y", [0x79]],
    ["a number", int, "100", [100, 0, 0, 0]],
    ["a negative number", int, "-2", [0xfe, 0xff, 0xff, 0xff]],
    ["hexadecimal", u16, "0x1f0", [0xf0, 1]],
    ["octal", u16, "010", [8, 0]],
    ["text", text, '"ab"', [97, 98, 0, 0]],
    ["long text, cut", text, '"abcdef"', [97, 98, 99, 0]],
  ])("takes %s", (_, make, value, bytes) => {
    expect(one(make, value)).toEqual(bytes);
  });

  it("takes absence of weak variables, features, and big-endian numbers", () => {
    expect(one(int, null, { weak: true })).toEqual([0, 0, 0, 0]);
    expect(one(bool, null, { name: "LINUX_HAS_BPF_COOKIE" })).toEqual([1]);
    expect(one(int, "258", { byteOrder: "big" })).toEqual([0, 0, 1, 2]);
  });

  it.each<[string, Make, string | null, string?]>([
    ["a strong variable that is not set", int, null],
    ["m for bool", bool, "m"],
    ["a number for bool", bool, "1"],
    ["text for int", int, '"x"'],
    ["y for int", int, "y"],
    ["a number that is too large", u16, "65536"],
    ["no number", int, "12x"],
    ["a name that is not the kernel's", int, null, "OTHER"],
  ])("refuses %s", (_, make, value, name) => {
    expect(() => one(make, value, name === undefined ? {} : { name })).toThrow(ObjectError);
  });
});

describe(".ksyms", () => {
  /** A kernel with what the golden objects ask for, and a module. */
  function kernel() {
    const b = new BtfBuilder();
    const int = b.intType("int", 4, "signed");
    const task = b.pointer(b.struct("task_struct", []));
    b.func("bpf_rcu_read_lock", b.funcProto(0, []), "static");
    b.func("bpf_rcu_read_unlock", b.funcProto(0, []), "static");
    const fromPid = b.func("bpf_task_from_pid", b.funcProto(task, [{ name: "pid", typeId: int }]), "static");
    const runqueues = b.variable("runqueues", b.struct("rq", [{ name: "cpu", typeId: int }]), "global");
    const types = openBtf(encodeBtf(b.build(), { byteOrder: "little" }));
    const own = new BtfBuilder(b.build());
    own.func("bpf_task_release", own.funcProto(0, [{ name: "task", typeId: task }]), "static");
    const module = viewOf({ firstId: types.end, types: own.build().types.slice(types.end - 1) }, types);
    return {
      types,
      fromPid,
      runqueues,
      modules: () => [["a_module", module] as const],
      address: (name: string) => (name === "bpf_prog_put" ? 0xffff_0000n : null),
    };
  }

  it("resolves kernel functions, in the kernel and in modules, and leaves weak ones out", () => {
    const { fromPid, ...symbols } = kernel();
    const spec = golden("kfuncs");
    const found = resolveSymbols(linkProgram(spec, "locked"), spec.btf ?? { types: [] }, symbols);
    expect(found.get("bpf_task_from_pid")).toEqual({ kind: "btf", id: fromPid, module: null });
    expect(found.get("bpf_task_release")).toMatchObject({ kind: "btf", module: "a_module" });
    expect(found.get("skep_is_no_function")).toEqual({ kind: "missing" });
    expect(() =>
      resolveSymbols(linkProgram(spec, "locked"), spec.btf ?? { types: [] }, { types: symbols.types }),
    ).toThrow(/bpf_task_release/);
  });

  it("resolves typed variables and addresses", () => {
    const { runqueues, ...symbols } = kernel();
    const spec = golden("ksyms");
    const found = resolveSymbols(linkProgram(spec, "symbols"), spec.btf ?? { types: [] }, symbols);
    expect(Object.fromEntries(found)).toEqual({
      runqueues: { kind: "btf", id: runqueues, module: null },
      skep_is_no_variable: { kind: "missing" },
      bpf_prog_put: { kind: "address", address: 0xffff_0000n },
      skep_is_no_symbol: { kind: "missing" },
    });
    expect(() =>
      resolveSymbols(linkProgram(spec, "symbols"), spec.btf ?? { types: [] }, { types: symbols.types }),
    ).toThrow(/bpf_prog_put is no symbol/);
  });

  it("refuses a function of another type", () => {
    const b = new BtfBuilder();
    b.func("bpf_rcu_read_lock", b.funcProto(0, [{ name: "x", typeId: b.intType("int", 4, "signed") }]), "static");
    const spec = golden("kfuncs");
    expect(() => resolveSymbols(linkProgram(spec, "locked"), spec.btf ?? { types: [] }, { types: b.build() })).toThrow(
      /another type/,
    );
  });
});
