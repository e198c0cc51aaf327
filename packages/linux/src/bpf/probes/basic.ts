/**
 * @module
 * What loading itself needs to know of a kernel. Each probe tries the thing in its smallest form, once.
 */
import {
  alu64,
  attachTypes,
  call,
  encode,
  exit,
  mov64,
  programTypes,
  r0,
  r1,
  r10,
  r2,
  r3,
  slotCount,
  type Instruction,
} from "@skep/isa";
import { encodeBtf, type BtfFeatures, type BtfType } from "@skep/object";
import { Descriptor } from "../../sys/index.ts";
import { Attributes } from "../attributes.ts";
import { conclusive } from "./run.ts";

export type BasicFeature = keyof BtfFeatures | "attach_cookie" | keyof typeof loadProbes;

const known = new Map<BasicFeature, boolean>();

const int: BtfType = { kind: "int", name: "int", size: 4, bits: 32, bitOffset: 0, encoding: "signed" };
const proto: BtfType = { kind: "func_proto", returnTypeId: 0, params: [{ name: "a", typeId: 1 }] };
const variable: BtfType = { kind: "var", name: "v", typeId: 1, linkage: "static" };
const section = (name: string): BtfType => ({
  kind: "datasec",
  name,
  size: 4,
  variables: [{ typeId: 2, offset: 0, size: 4 }],
});
const func = (linkage: "static" | "global"): BtfType => ({ kind: "func", name: "f", typeId: 2, linkage });

/** The smallest types that need each feature; ids from 1. */
const samples: Readonly<Record<keyof BtfFeatures, readonly BtfType[]>> = {
  func: [int, proto, func("static")],
  globalFunc: [int, proto, func("global")],
  datasec: [int, variable, section(".data")],
  questionMark: [int, variable, section("?.data")],
  float: [{ kind: "float", name: "float", size: 4 }],
  declTag: [int, variable, { kind: "decl_tag", name: "tag", typeId: 2, componentIndex: -1 }],
  typeTag: [int, { kind: "type_tag", name: "tag", typeId: 1 }, { kind: "ptr", typeId: 2 }],
  enum64: [{ kind: "enum64", name: "e", size: 8, signed: false, values: [] }],
};

function loadsBtf(types: readonly BtfType[]): boolean {
  const bytes = encodeBtf({ types }, { byteOrder: "little" });
  const fd = new Attributes().pointer(0, bytes).u32(16, bytes.byteLength).try("btf_load");
  conclusive("a kind of types", -fd);
  if (fd >= 0) new Descriptor(fd, "btf").close();
  return fd >= 0;
}

/** Whether a program with this body loads; `fill` says more of it. */
function loadsProgram(
  type: number,
  body: readonly Instruction[],
  fill: (attributes: Attributes) => Attributes = (attributes) => attributes,
): boolean {
  const instructions = [...body, mov64(r0, 0), exit()];
  const attributes = new Attributes()
    .u32(0, type)
    .u32(4, slotCount(instructions))
    .pointer(8, encode(instructions))
    .text(16, "GPL");
  const fd = fill(attributes).try("prog_load");
  conclusive(`programs of type ${type}`, -fd);
  if (fd >= 0) new Descriptor(fd, "program").close();
  return fd >= 0;
}

/** Loads and creations that only a kernel with the feature takes. */
const loadProbes = {
  /** bpf_get_attach_cookie for tracing programs (5.15). */
  attach_cookie: () => loadsProgram(programTypes.tracepoint, [call("get_attach_cookie")]),
  /** Names of maps and programs (4.15). */
  names: () => loadsProgram(programTypes.socket_filter, [], (attributes) => attributes.name(48, "test")),
  /** Expected attach types (4.17). */
  attach_types: () =>
    loadsProgram(programTypes.cgroup_sock, [], (attributes) => attributes.u32(68, attachTypes.cgroup_inet_sock_create)),
  /** bpf_probe_read_kernel (5.5). */
  probe_read_kernel: () =>
    loadsProgram(programTypes.tracepoint, [
      mov64(r1, r10),
      alu64("add", r1, -8),
      mov64(r2, 8),
      mov64(r3, 0),
      call("probe_read_kernel"),
    ]),
} as const;

/** Whether the kernel has it. Asked once. Throws `InconclusiveError`, which is not remembered. */
export function hasFeature(feature: BasicFeature): boolean {
  let has = known.get(feature);
  if (has === undefined) {
    has =
      feature in loadProbes
        ? loadProbes[feature as keyof typeof loadProbes]()
        : loadsBtf(samples[feature as keyof BtfFeatures]);
    known.set(feature, has);
  }
  return has;
}

/** For `sanitizeBtf`. */
export function btfFeatures(): Required<BtfFeatures> {
  const has = (feature: keyof BtfFeatures) => hasFeature(feature);
  return {
    func: has("func"),
    globalFunc: has("globalFunc"),
    datasec: has("datasec"),
    questionMark: has("questionMark"),
    float: has("float"),
    declTag: has("declTag"),
    typeTag: has("typeTag"),
    enum64: has("enum64"),
  };
}
