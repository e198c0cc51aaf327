/**
 * @module
 * The kernel's verdict on fuzzed programs: loaded directly, without types, thousands a second.
 */
import { attachTypeNumber, encode, programTypeNumber, slotCount } from "@skep/isa";
import type { Instruction } from "@skep/isa";
import { openLinux } from "@skep/linux";
import type { LinuxMap } from "@skep/linux";
import type { MapSpec } from "@skep/object";
import { Attributes } from "../../linux/src/bpf/attributes.ts";
import { kernelVersion } from "../../linux/src/bpf/kernel-version.ts";
import { rawSyscall } from "../../linux/src/sys/index.ts";
import type { FuzzProgram } from "./generate.ts";

const owned = new Set(["prog_array", "devmap", "devmap_hash", "cpumap"]);

export class KernelVerifier {
  private readonly specs: readonly MapSpec[];
  private readonly maps = new Map<string, LinuxMap>();
  private readonly log = new Uint8Array(1 << 22);

  constructor(specs: readonly MapSpec[]) {
    const linux = openLinux();
    this.specs = specs;
    for (const spec of specs) {
      if (owned.has(spec.type)) continue;
      const made = linux.bpf.createMap(spec) as LinuxMap;
      this.maps.set(spec.name, made);
      if (spec.data === undefined) continue;
      made.set(new Uint8Array(4), spec.data.contents);
      if (spec.data.readOnly) made.freeze();
    }
  }

  /** Maps that belong to the type of the first program that uses them (bpf_prog_map_compatible) are made for each type. */
  private mapFd(name: string, owner: string): number {
    const spec = this.specs.find((each) => each.name === name);
    if (spec === undefined) return -1;
    const key = owned.has(spec.type) ? `${name} ${owner}` : name;
    let made = this.maps.get(key);
    if (made === undefined) this.maps.set(key, (made = openLinux().bpf.createMap(spec) as LinuxMap));
    return made.fd;
  }

  /** The instructions with the maps' descriptors in them. */
  private resolved(program: FuzzProgram): Instruction[] {
    const instructions = [...program.instructions];
    for (const [at, target] of program.maps) {
      const insn = instructions[at];
      if (insn !== undefined && insn.opcode === 0x18)
        instructions[at] = {
          ...insn,
          imm: this.mapFd(target.map, `${program.type}/${program.attachType}`),
          ...(target.offset === null ? {} : { immHigh: target.offset }),
        };
    }
    return instructions;
  }

  private attributes(program: FuzzProgram): Attributes {
    const instructions = this.resolved(program);
    return new Attributes()
      .u32(0, programTypeNumber(program.type) ?? 0)
      .u32(4, slotCount(instructions))
      .pointer(8, encode(instructions))
      .text(16, program.license ?? "GPL")
      .u32(40, program.type === "kprobe" ? kernelVersion() : 0)
      .u32(68, program.attachType === undefined ? 0 : (attachTypeNumber(program.attachType) ?? 0));
  }

  /** 0 where the kernel takes the program, else the errno. */
  verdict(program: FuzzProgram): number {
    for (let attempt = 0; ; attempt++) {
      const result = this.attributes(program).try("prog_load");
      if (result >= 0) {
        rawSyscall("close", result);
        return 0;
      }
      // Interrupted: asked again.
      if (result !== -11 || attempt > 5) return -result;
    }
  }

  /** A descriptor, which the caller closes; -1 where the kernel refuses. */
  load(program: FuzzProgram): number {
    return Math.max(-1, this.attributes(program).try("prog_load"));
  }

  /** What the kernel's log says. */
  reason(program: FuzzProgram, level = 1): string {
    this.log[0] = 0;
    const result = this.attributes(program)
      .u32(24, level)
      .u32(28, this.log.byteLength)
      .pointer(32, this.log)
      .try("prog_load");
    if (result >= 0) rawSyscall("close", result);
    return new TextDecoder().decode(this.log.subarray(0, this.log.indexOf(0)));
  }

  close(): void {
    for (const map of this.maps.values()) map.close();
  }
}
