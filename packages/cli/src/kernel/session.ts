import { openLinux, type LinuxMachine } from "@skep/linux";
import { type ListFormat, printAs, write } from "../output/print.ts";
import { toJson, toPlain, type Tree } from "./tree.ts";
import { Words } from "./words.ts";

/** How a verb prints. `json` and `pretty` are bpftool's options: the same values as `-o json`, in one line or several. */
export interface Printing {
  readonly output: ListFormat;
  readonly json?: boolean;
  readonly pretty?: boolean;
  /** Also where objects are pinned. */
  readonly bpffs?: boolean;
}

/** One call of a verb: its words, how it prints, and the handles that end with it. */
export class Session {
  readonly words: Words;
  readonly printing: Printing;
  readonly #open: { close(): void }[] = [];
  #machine: LinuxMachine | null = null;

  constructor(words: readonly string[], printing: Printing) {
    this.words = new Words(words);
    this.printing = printing;
  }

  /** The machine that this runs on. */
  get machine(): LinuxMachine {
    this.#machine ??= openLinux();
    return this.#machine;
  }

  /** True where what is printed is for programs, not for people. */
  get isData(): boolean {
    return this.printing.output !== "table" || this.isJson;
  }

  get isJson(): boolean {
    return this.printing.output === "json" || this.printing.json === true || this.printing.pretty === true;
  }

  /** Closed at the verb's end. */
  keep<T extends { close(): void }>(handle: T): T {
    this.#open.push(handle);
    return handle;
  }

  close(): void {
    for (const each of this.#open.splice(0).reverse()) each.close();
  }

  /** Prints values in the format asked for. `table` makes the text for people. */
  print(tree: Tree, table: () => string): Promise<void> {
    const { json, pretty, output } = this.printing;
    if (json === true && pretty !== true) return write(`${toJson(tree, 0)}\n`);
    if (pretty === true || output === "json") return write(`${toJson(tree)}\n`);
    return printAs(output, output === "table" ? null : toPlain(tree), table);
  }

  /** For verbs that only do something: bpftool writes `null` for programs. */
  done(): Promise<void> {
    return this.isJson ? this.print(null, () => "") : Promise.resolve();
  }
}
