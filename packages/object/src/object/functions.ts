/**
 * @module
 * Where the functions of a file lie.
 */
import { SHF, SHT, STB, STT } from "../elf/format.ts";
import type { ElfFile, ElfSection, ElfSymbol } from "../elf/read.ts";
import { ObjectError } from "../errors.ts";
import { isTextSection } from "./sections.ts";

/** A function's place in the file. */
export interface Place {
  /** Unique in the object. */
  readonly name: string;
  readonly section: ElfSection;
  readonly symbol: ElfSymbol;
  readonly start: number;
  readonly end: number;
  readonly isProgram: boolean;
}

/** Where the functions lie. */
export interface CodeMap {
  readonly places: readonly Place[];
  /** Name of the function at a symbol, at an offset from it; null where none starts. */
  readonly functionAt: (symbol: ElfSymbol, addend?: number) => string | null;
}

/** Finds every function: symbols in executable sections. Throws `ObjectError`. */
export function findFunctions(elf: ElfFile): CodeMap {
  const places: Place[] = [];
  const names = new Set<string>();
  for (const section of elf.sections) {
    if (section.type !== SHT.progbits || (section.flags & SHF.execinstr) === 0) continue;
    const symbols = elf.symbols.filter(({ section: index, type }) => index === section.index && type === STT.func);
    symbols.sort((a, b) => a.value - b.value || a.index - b.index);
    symbols.forEach((symbol, index) => {
      const next = symbols.slice(index + 1).find(({ value }) => value > symbol.value)?.value ?? section.size;
      const end = symbol.size === 0 ? next : symbol.value + symbol.size;
      if (symbol.value % 8 !== 0 || end % 8 !== 0 || end > section.size || end <= symbol.value) {
        throw new ObjectError("program", `function ${symbol.name} lies outside`, {
          section: section.name,
          offset: symbol.value,
        });
      }
      const isProgram = !isTextSection(section.name) && symbol.bind !== STB.local;
      places.push({ name: uniqueName(symbol.name, names), section, symbol, start: symbol.value, end, isProgram });
    });
  }
  return { places, functionAt: functionFinder(places) };
}

/** Static functions of several sources may share a name in one object. */
function uniqueName(name: string, taken: Set<string>): string {
  let unique = name;
  for (let number = 1; taken.has(unique); number++) unique = `${name}.${number}`;
  taken.add(unique);
  return unique;
}

function functionFinder(places: readonly Place[]): CodeMap["functionAt"] {
  const bySymbol = new Map(places.map((place) => [place.symbol.index, place.name]));
  const byPlace = new Map<string, string>();
  for (const place of places) {
    const key = `${place.section.index}:${place.start}`;
    if (!byPlace.has(key)) byPlace.set(key, place.name);
  }
  return (symbol, addend = 0) => {
    const own = addend === 0 ? bySymbol.get(symbol.index) : undefined;
    return own ?? byPlace.get(`${symbol.section}:${symbol.value + addend}`) ?? null;
  };
}
