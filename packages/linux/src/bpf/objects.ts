/**
 * @module
 * What is in the kernel: every map, program, link and BTF by id (BPF_*_GET_NEXT_ID, BPF_*_GET_FD_BY_ID).
 */
import type { Program } from "@skep/machine";
import { Descriptor } from "../sys/index.ts";
import { Attributes, bpfChecked, kernelName, type Command } from "./attributes.ts";
import { btfBytes, btfInfo, programInfo, type KernelBtfInfo } from "./info.ts";
import { needCapabilities } from "./capabilities.ts";
import { LinuxLink } from "./link.ts";
import { descriptorOf, LinuxMap } from "./map.ts";
import { LinuxProgram } from "./program.ts";

type Kind = "map" | "program" | "link" | "btf";

const commands: Readonly<Record<Kind, { readonly next: Command; readonly open: Command }>> = {
  map: { next: "map_get_next_id", open: "map_get_fd_by_id" },
  program: { next: "prog_get_next_id", open: "prog_get_fd_by_id" },
  link: { next: "link_get_next_id", open: "link_get_fd_by_id" },
  btf: { next: "btf_get_next_id", open: "btf_get_fd_by_id" },
};

const ENOENT = -2;

/** Ids in ascending order, as they are at each step. */
export function* ids(kind: Kind): Generator<number> {
  needCapabilities(`listing every ${kind}`, "CAP_SYS_ADMIN");
  for (let id = 0; ;) {
    const attributes = new Attributes().u32(0, id);
    const result = attributes.try(commands[kind].next);
    if (result === ENOENT) return;
    bpfChecked(commands[kind].next, result);
    id = attributes.readU32(4);
    yield id;
  }
}

/** A descriptor; null where the id is gone. */
function openById(kind: Kind, id: number): Descriptor | null {
  needCapabilities(`opening a ${kind} by its id`, "CAP_SYS_ADMIN");
  const result = new Attributes().u32(0, id).try(commands[kind].open);
  if (result === ENOENT) return null;
  return new Descriptor(bpfChecked(commands[kind].open, result, `${kind} ${id}`), kind);
}

export function mapById(id: number): LinuxMap | null {
  const descriptor = openById("map", id);
  return descriptor && new LinuxMap(descriptor);
}

export function programById(id: number): LinuxProgram | null {
  const descriptor = openById("program", id);
  return descriptor && new LinuxProgram(descriptor);
}

export function linkById(id: number): LinuxLink | null {
  const descriptor = openById("link", id);
  return descriptor && new LinuxLink(descriptor);
}

/** What the kernel says about BTF, and its bytes on request; null where the id is gone. */
export function btfById(id: number): { readonly info: KernelBtfInfo; readonly bytes: Uint8Array } | null {
  const descriptor = openById("btf", id);
  if (!descriptor) return null;
  try {
    return { info: btfInfo(descriptor.fd), bytes: btfBytes(descriptor.fd) };
  } finally {
    descriptor.close();
  }
}

/** A map that a program uses, by its name as the kernel cut it; null where it uses none of the name. */
export function mapOfProgram(program: Program, name: string): LinuxMap | null {
  for (const id of programInfo(descriptorOf(program)).mapIds) {
    const map = mapById(id);
    if (map?.info.name === kernelName(name)) return map;
    map?.close();
  }
  return null;
}
