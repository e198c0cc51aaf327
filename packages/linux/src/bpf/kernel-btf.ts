import { readFileSync, readdirSync } from "node:fs";
import { openBtf, type BtfView, type OpenBtf } from "@skep/object";
import { Descriptor } from "../sys/index.ts";
import { Attributes } from "./attributes.ts";
import { btfInfo } from "./info.ts";
import { NotSupportedError } from "./not-supported.ts";

const FOLDER = "/sys/kernel/btf";

let vmlinux: OpenBtf | undefined;

/** The running kernel's own types, read once. Throws `NotSupportedError` where the kernel was built without them. */
export function kernelTypes(): OpenBtf {
  vmlinux ??= openBtf(readTypes("vmlinux"));
  return vmlinux;
}

function readTypes(name: string): Uint8Array {
  try {
    return readFileSync(`${FOLDER}/${name}`);
  } catch (cause) {
    const detail = `${FOLDER}/${name} cannot be read (CONFIG_DEBUG_INFO_BTF)`;
    throw new NotSupportedError("kernel types", { detail, cause });
  }
}

const modules = new Map<string, OpenBtf>();

/** Names of loaded modules that have types. */
export function moduleNames(): string[] {
  return readdirSync(FOLDER)
    .filter((name) => name !== "vmlinux")
    .sort();
}

export function moduleTypes(name: string): OpenBtf {
  let types = modules.get(name);
  if (types === undefined) {
    types = openBtf(readTypes(name), kernelTypes());
    modules.set(name, types);
  }
  return types;
}

/** Every module with its types. */
export function allModuleTypes(): (readonly [name: string, types: BtfView])[] {
  return moduleNames().map((name) => [name, moduleTypes(name)] as const);
}

/** A type of the kernel or of a module, by name. `module`: null for the kernel itself. */
export interface KernelType {
  readonly id: number;
  readonly module: string | null;
}

/** The type of this kind and name in the kernel, then in the modules; null where none has it. */
export function findKernelType(
  name: string,
  kind: "func" | "typedef" | "struct" | "var",
  module?: string,
): KernelType | null {
  const inTypes = (types: OpenBtf) => types.named(name).find((id) => types.get(id)?.kind === kind);
  if (module === undefined || module === "vmlinux") {
    const id = inTypes(kernelTypes());
    if (id !== undefined) return { id, module: null };
  }
  const names = module === undefined ? moduleNames() : moduleNames().filter((each) => each === module);
  for (const each of names) {
    const id = inTypes(moduleTypes(each));
    if (id !== undefined) return { id, module: each };
  }
  return null;
}

/** A descriptor of a module's BTF, for attaching to and calling what the module defines. Null where no such module is loaded. */
export function openModuleBtf(name: string): Descriptor | null {
  for (let id = 0; ;) {
    const next = new Attributes().u32(0, id);
    if (next.try("btf_get_next_id") < 0) return null;
    id = next.readU32(4);
    const fd = new Attributes().u32(0, id).try("btf_get_fd_by_id");
    // Gone since.
    if (fd === -2) continue;
    if (fd < 0) return null;
    const descriptor = new Descriptor(fd, "btf");
    const info = btfInfo(fd);
    if (info.isKernel && info.name === name) return descriptor;
    descriptor.close();
  }
}
