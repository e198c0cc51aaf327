/**
 * @module
 * Pure functions as a JavaScript module: the same results as in the kernel, to the last bit.
 */
import type { MapSpec } from "@skep/object";
import type { IrFunction, IrModule } from "../ir.ts";
import { helpersOf, type HelperName } from "./expressions.ts";
import { FunctionWriter, identifier, type FunctionContext } from "./function-writer.ts";
import { ATOMICS, MEMORY } from "./memory-text.ts";
import { declareShape, type Shape } from "./shape.ts";
import { WrapperWriter } from "./wrapper.ts";

/** A function that the JavaScript module exports. */
export interface JavaScriptExport {
  readonly name: string;
  /** The IR's function. */
  readonly function: string;
  readonly params: readonly { readonly name: string; readonly shape: Shape }[];
  /** null: nothing. */
  readonly returns: Shape | null;
}

export interface JavaScriptModule {
  /** An ECMAScript module. */
  readonly code: string;
  /** Its declarations, as a `.d.ts`. */
  readonly declarations: string;
}

export interface JavaScriptOptions {
  /** A comment for the first line. */
  readonly banner?: string;
}

/** Why a function has no JavaScript; null where it has. */
export function impurityOf(module: IrModule, name: string, seen: Set<string> = new Set()): string | null {
  const fn = module.functions.find((one) => one.name === name);
  if (fn === undefined) return `there is no function ${name}`;
  seen.add(name);
  for (const block of fn.blocks) {
    for (const inst of block.insts) {
      if (inst.op === "call" || inst.op === "function") {
        const inner = seen.has(inst.function) ? null : impurityOf(module, inst.function, seen);
        if (inner !== null) return inner;
      }
      const reason = instImpurity(module, inst);
      if (reason !== null) return reason;
    }
  }
  return null;
}

const BPF_LOOP = 181;

function instImpurity(module: IrModule, inst: IrFunction["blocks"][number]["insts"][number]): string | null {
  switch (inst.op) {
    case "helper":
      return inst.helper === BPF_LOOP && inst.args[1]?.op === "function"
        ? null
        : `it calls the kernel's helper ${inst.helper}`;
    case "kfunc":
      return `it calls the kernel's ${inst.kfunc}`;
    case "map":
      return `it uses the map ${inst.map}`;
    case "ksym":
      return `it uses the kernel's ${inst.symbol}`;
    case "core":
      return "it depends on the kernel's structures";
    case "data": {
      const section = module.data.find((one) => one.name === inst.section);
      const variable = section?.data?.variables.find(
        (one) => inst.offset >= one.offset && inst.offset < one.offset + one.size,
      );
      return variable ? `it uses the variable ${variable.name}` : null;
    }
    case "load":
      return inst.space === "ctx" || inst.space === "kernel" || inst.space === "arena"
        ? "it reads what only the kernel has"
        : null;
    default:
      return null;
  }
}

/** Functions that the exports reach, callees first. */
function reached(module: IrModule, names: readonly string[]): IrFunction[] {
  const known = new Map(module.functions.map((fn) => [fn.name, fn]));
  const found = new Set<IrFunction>();
  const visit = (name: string): void => {
    const fn = known.get(name);
    if (fn === undefined || found.has(fn)) return;
    for (const block of fn.blocks) {
      for (const inst of block.insts) if (inst.op === "call" || inst.op === "function") visit(inst.function);
    }
    found.add(fn);
  };
  names.forEach(visit);
  return [...found];
}

/** Writes the module. Every export must be pure (`impurityOf`); throws where one is not. */
export function emitJavaScript(
  module: IrModule,
  exports: readonly JavaScriptExport[],
  options: JavaScriptOptions = {},
): JavaScriptModule {
  const data = new DataLayout(module.data);
  const helpers = new Set<HelperName>();
  const context: FunctionContext = {
    helpers,
    littleEndian: true,
    usesMemory: false,
    dataAddress: (section) => data.addressOf(section),
    nameOf: (fn) => `${identifier(fn)}$`,
  };
  const functions = reached(
    module,
    exports.map((one) => one.function),
  );
  const bodies = functions.map((fn) => new FunctionWriter(fn, context, []).write());
  const wrappers = exports.map((one) => new WrapperWriter(one, context).write());
  const code = [
    ...(options.banner ? [`// ${options.banner}\n`] : []),
    ...helpersOf(helpers).map((text) => `${text}\n`),
    ...(context.usesMemory ? [`let top = ${data.end};\n`, MEMORY, data.text()] : []),
    ...(bodies.some((body) => /\batomic(32|64)\./.test(body)) ? [ATOMICS] : []),
    ...bodies,
    ...wrappers,
  ];
  return { code: code.join("\n"), declarations: exports.map(declare).join("") };
}

function declare(one: JavaScriptExport): string {
  const params = one.params.map((param) => `${identifier(param.name)}: ${declareShape(param.shape)}`).join(", ");
  return `export declare function ${one.name}(${params}): ${one.returns ? declareShape(one.returns) : "void"};\n`;
}

/** Where the data sections that functions use lie in memory. */
class DataLayout {
  readonly #sections: readonly MapSpec[];
  readonly #addresses = new Map<string, number>();
  // Address 0 is null.
  #end = 8;

  constructor(sections: readonly MapSpec[]) {
    this.#sections = sections;
  }

  #contents(name: string): Uint8Array {
    const section = this.#sections.find((one) => one.name === name);
    if (section === undefined) throw new Error(`no data section ${name}`);
    return section.data?.contents ?? new Uint8Array(section.valueSize);
  }

  addressOf(name: string): number {
    const known = this.#addresses.get(name);
    if (known !== undefined) return known;
    const address = this.#end;
    this.#addresses.set(name, address);
    this.#end = (address + this.#contents(name).length + 7) & ~7;
    return address;
  }

  /** The first free address; after all functions are written. */
  get end(): number {
    return this.#end;
  }

  /** Puts the constants into memory. */
  text(): string {
    return [...this.#addresses]
      .map(([name, address]) => `bytes.set([${[...this.#contents(name)].join(", ")}], ${address});\n`)
      .join("");
  }
}
