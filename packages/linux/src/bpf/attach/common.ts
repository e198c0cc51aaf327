import { attachTypeNumber } from "@skep/isa";
import type { Link, Order, Program } from "@skep/machine";
import { Descriptor } from "../../sys/index.ts";
import { Attributes } from "../attributes.ts";
import { LinuxLink } from "../link.ts";
import { descriptorOf } from "../map.ts";
import { LinuxProgram } from "../program.ts";

/** What attaching needs to know of the machine. */
export interface AttachContext {
  /** Runs in the network namespace that the machine was opened on. */
  readonly inHost: <T>(run: () => T) => T;
}

/** The program does not say where it belongs, or belongs elsewhere. */
export class AttachError extends Error {
  override readonly name = "AttachError";
  readonly hook: string;
  readonly program: string;

  constructor(hook: string, program: string, why: string) {
    super(`cannot attach ${program} to ${hook}: ${why}`);
    this.hook = hook;
    this.program = program;
  }
}

/** Fills what all links have. */
export function linkAttributes(program: Program, target: number, attachType: string): Attributes {
  const number = attachTypeNumber(attachType);
  if (number === null) throw new AttachError(attachType, program.name, "no such attach type");
  return new Attributes().u32(0, descriptorOf(program)).u32(4, target).u32(8, number);
}

/** BPF_LINK_CREATE. `kept` is closed with the link, and here where it fails. */
export function createLink(attributes: Attributes, detail: string, kept: readonly Descriptor[] = []): LinuxLink {
  return linkOf(attributes.run("link_create", detail), kept);
}

/** A link of a fresh descriptor. */
export function linkOf(fd: number, kept: readonly Descriptor[] = []): LinuxLink {
  const descriptor = new Descriptor(fd, "link");
  try {
    return new LinuxLink(descriptor, kept);
  } catch (error) {
    descriptor.close();
    throw error;
  }
}

const BPF_F_BEFORE = 8;
const BPF_F_AFTER = 16;
const BPF_F_LINK = 1 << 13;

/** The place among others: flags, and the neighbour by descriptor (link_create.tcx and its likes). */
export function orderAttributes(attributes: Attributes, order: Order): Attributes {
  const neighbour = order.before ?? order.after;
  if (order.before && order.after) throw new TypeError("before and after exclude each other");
  let flags = 0;
  if (order.order === "first" || order.before) flags |= BPF_F_BEFORE;
  if (order.order === "last" || order.after) flags |= BPF_F_AFTER;
  if (neighbour) {
    if (isLink(neighbour)) flags |= BPF_F_LINK;
    attributes.u32(16, isLink(neighbour) ? linkDescriptor(neighbour) : descriptorOf(neighbour));
  }
  return attributes.u32(12, flags).u64(24, order.revision ?? 0n);
}

function isLink(handle: Program | Link): handle is Link {
  return "detach" in handle;
}

function linkDescriptor(link: Link): number {
  if (link instanceof LinuxLink) return link.fd;
  throw new TypeError("the link belongs to another machine");
}

/** The attach type that the program was loaded for. */
export function attachTypeOf(program: Program, hook: string): string {
  const type = program instanceof LinuxProgram ? program.origin?.attachType : undefined;
  if (type === undefined) throw new AttachError(hook, program.name, "its spec names no attach type");
  return type;
}
