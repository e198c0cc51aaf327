/**
 * @module
 * The body of a random function: statements and typed expressions over the names in reach.
 */
import type { Random } from "../../../ir/test/random.ts";
import { block, expression, print, statement, type Node, type Part } from "./nodes.ts";
import {
  bitsOf,
  INTS,
  isSigned,
  isWide,
  literal,
  positiveLiteral,
  valueTypeOf,
  type Field,
  type Struct,
} from "./types.ts";

export type Feature =
  | "loop"
  | "map"
  | "packet"
  | "div64"
  | "switch"
  | "call"
  | "subprogram"
  | "struct"
  | "table"
  | "bits"
  | "bigEndian"
  | "atomic"
  | "closure"
  | "bpfLoop"
  | "earlyReturn"
  | "shortCircuit"
  | "global"
  | "twin";

export interface World {
  readonly small: Struct;
  readonly large: Struct;
  readonly io: Struct;
  readonly tables: readonly { name: string; type: string; length: number; text: string; wide: boolean }[];
  readonly globals: readonly { name: string; type: string }[];
  readonly functions: readonly { name: string; params: readonly string[]; returns: string }[];
}

interface Variable {
  readonly name: string;
  readonly type: string;
  readonly mutable: boolean;
  /** Its value is not known when the program is compiled: what depends on it is not refused for being outside. */
  readonly dynamic: boolean;
}

interface Reference {
  readonly name: string;
  readonly struct: Struct;
  readonly space: "packet" | "stack" | "map";
}

export interface BodyOptions {
  readonly returns: string;
  readonly hasContext?: boolean;
  /** About how many. */
  readonly statements: number;
}

const COMPARISONS = ["===", "!==", "<", "<=", ">", ">="] as const;
const ARITHMETIC = ["+", "-", "*", "&", "|", "^"] as const;
const DEEPEST = 3;

/** A place in a struct: how to write it, and what it holds. */
interface Member {
  readonly path: string;
  readonly field: Field;
  readonly space: Reference["space"];
}

export class Body {
  readonly features = new Set<Feature>();
  readonly #random: Random;
  readonly #world: World;
  readonly #options: BodyOptions;
  #variables: Variable[] = [];
  #references: Reference[] = [];
  #statements: Node[] = [];
  #names = 0;
  #depth = 0;
  #loops = 0;
  /** In a callback or closure: `return` would mean something else. */
  #inner = 0;
  /** In a callback that the kernel calls. */
  #callback = 0;
  #breakable: "loop" | "none" = "none";

  constructor(random: Random, world: World, options: BodyOptions) {
    this.#random = random;
    this.#world = world;
    this.#options = options;
    this.#budget = options.statements;
  }

  note(feature: Feature): void {
    this.features.add(feature);
  }

  addVariable(name: string, type: string, options: { mutable: boolean; constant?: boolean }): void {
    this.#variables.push({ name, type, mutable: options.mutable, dynamic: options.constant !== true });
  }

  addReference(name: string, struct: Struct, space: Reference["space"]): void {
    this.#references.push({ name, struct, space });
  }

  block(start: readonly Node[] = []): Node {
    return block([...start, ...this.#statements]);
  }

  finishWith(node: Node): void {
    this.#statements.push(node);
  }

  fill(count: number): void {
    for (let at = 0; at < count; at++) this.#statement();
  }

  /** Statements that are left: what is nested takes of them, too. */
  #budget: number;

  #push(...parts: Part[]): void {
    this.#statements.push(statement(...parts));
  }

  #name(prefix: string): string {
    return `${prefix}${this.#names++}`;
  }

  // ---- statements ----

  /** Statements in a block of their own, with names of their own. */
  #block(run: () => void): Node {
    const outer = { variables: this.#variables, references: this.#references, statements: this.#statements };
    this.#variables = [...outer.variables];
    this.#references = [...outer.references];
    this.#statements = [];
    this.#depth++;
    run();
    this.#depth--;
    const inner = block(this.#statements);
    this.#variables = outer.variables;
    this.#references = outer.references;
    this.#statements = outer.statements;
    return inner;
  }

  #small(): Node {
    return this.#block(() => this.fill(1 + this.#random.below(2)));
  }

  #statement(): void {
    const random = this.#random;
    const nested = this.#depth < DEEPEST && this.#budget > 0;
    this.#budget--;
    const kind = random.below(100);
    if (kind < 22) this.#assign();
    else if (kind < 30) this.declare();
    else if (kind < 38) this.#store();
    else if (kind < 50 && nested) this.#if();
    else if (kind < 57 && nested && this.#loops < 2) this.loopStatement();
    else if (kind < 63 && nested) this.#switch();
    else if (kind < 71 && nested && this.#options.hasContext) this.mapStatement();
    else if (kind < 74) this.#localStruct();
    else if (kind < 79 && this.#options.hasContext && this.#callback === 0) this.#header();
    else if (kind < 83 && this.#options.hasContext) this.#global();
    else if (kind < 86) this.#early();
    else if (kind < 89 && nested && this.#inner === 0) this.#closure();
    else if (kind < 92 && nested && this.#options.hasContext && this.#callback === 0 && this.#loops === 0)
      this.#bpfLoop();
    else if (kind < 95) this.#leave();
    else this.#assign();
  }

  declare(): void {
    const type = this.#random.chance(8) ? "bool" : this.#random.pick(INTS);
    const constant = type !== "bool" && this.#random.chance(10);
    const value = constant ? expression(type, `${type}(${literal(this.#random, type)})`) : this.#dynamic(type, 2);
    const name = this.#name("v");
    const mutable = this.#random.chance(80);
    const annotation = type === "bool" ? "boolean" : type;
    if (mutable) this.#push(`let ${name}: ${annotation} = `, value, ";");
    else if (this.#random.chance(50)) this.#push(`const ${name} = `, value, ";");
    else this.#push(`const ${name}: ${annotation} = `, value, ";");
    this.addVariable(name, type, { mutable, constant });
  }

  /** A value that only running the program gives. */
  #dynamic(type: string, depth: number): Node {
    if (type === "bool") {
      const of = this.#random.pick(INTS);
      return this.#comparison(of, this.value(of, depth - 1));
    }
    if (this.#random.chance(30)) return this.#nonConstant(type);
    return expression(
      type,
      "(",
      this.#nonConstant(type),
      ` ${this.#random.pick(ARITHMETIC)} `,
      this.value(type, depth - 1),
      ")",
    );
  }

  #assign(): void {
    const random = this.#random;
    const target = random.pick(this.#variables.filter((one) => one.mutable));
    if (target === undefined) {
      this.declare();
      return;
    }
    const { name, type } = target;
    if (type === "bool" || random.chance(50)) {
      this.#push(`${name} = `, this.value(type, 3), ";");
      return;
    }
    const kind = random.below(10);
    if (kind < 5) this.#push(`${name} ${random.pick(ARITHMETIC)}= `, this.value(type, 2), ";");
    else if (kind < 7)
      this.#push(
        `${name} ${this.#random.pick(isSigned(type) || isWide(type) ? ["<<", ">>"] : ["<<", ">>", ">>>"])}= `,
        this.#shiftCount(type),
        ";",
      );
    else if (kind < 9) this.#push(`${name} ${random.pick(["/", "%"])}= `, this.#divisor(type), ";");
    else this.#push(random.pick([`${name}++;`, `--${name};`]));
    if (kind >= 7 && kind < 9) this.#noteDivision(type);
  }

  #if(): void {
    const parts: Part[] = ["if (", this.#condition(2), ") ", this.#small()];
    if (this.#random.chance(40)) parts.push(" else ", this.#small());
    else if (this.#random.chance(25))
      parts.push(" else if (", this.#condition(1), ") ", this.#small(), " else ", this.#small());
    this.#push(...parts);
  }

  #inLoop(run: () => void): Node {
    const outer = this.#breakable;
    this.#loops++;
    this.#breakable = "loop";
    const body = this.#block(run);
    this.#breakable = outer;
    this.#loops--;
    return body;
  }

  loopStatement(): void {
    this.note("loop");
    const random = this.#random;
    const name = this.#name("n");
    const times = 1 + random.below(this.#loops > 0 ? 3 : 6);
    const body = (type: string, first: Node[] = []): Node =>
      this.#inLoop(() => {
        this.#statements.push(...first);
        this.addVariable(name, type, { mutable: false });
        this.fill(1 + random.below(2));
      });
    switch (random.below(6)) {
      case 0:
        this.#push(`for (const ${name} of range(${times})) `, body("u32"));
        return;
      case 1: {
        const type = random.pick(["u8", "i16", "i32", "u64", "i64"]);
        const wide = isWide(type) ? "n" : "";
        this.#push(`for (let ${name}: ${type} = 0${wide}; ${name} < ${times}${wide}; ${name}++) `, body(type));
        return;
      }
      case 2: {
        const bound = expression("u32", "(", this.value("u32", 1), " & 3)");
        this.#push(`let ${name}: u32 = `, bound, ";");
        this.#push(`while (${name} > 0) `, body("u32", [statement(`${name} -= 1;`)]));
        return;
      }
      case 3: {
        const condition = this.#condition(1);
        this.#push(`let ${name}: u32 = 0;`);
        this.#push("do ", body("u32", [statement(`${name} += 1;`)]), ` while (${name} < ${times} && `, condition, ");");
        return;
      }
      case 4: {
        const bound = expression("u32", "(", this.value("u32", 1), " & 7)");
        this.#push(`for (let ${name} = 0; `, bound, ` > ${name}; ${name} += 2) `, body("u32"));
        return;
      }
      default:
        this.#push(`for (let ${name} = 0; ${name} < ${times}; ${name}++) `, body("u32"));
    }
  }

  #switch(): void {
    this.note("switch");
    const random = this.#random;
    const type = random.pick(INTS);
    const wide = isWide(type) ? "n" : "";
    const subject = expression(type, "(", this.value(type, 2), ` & 7${wide})`);
    const values = [...new Set(Array.from({ length: 1 + random.below(5) }, () => random.below(9)))];
    const outer = this.#breakable;
    this.#breakable = "none";
    const parts: Part[] = values.flatMap((value): Part[] => [
      `\n  case ${value}${wide}: `,
      this.#small(),
      random.chance(75) ? " break;" : "",
    ]);
    if (random.chance(60)) parts.push("\n  default: ", this.#small());
    this.#breakable = outer;
    this.#push("switch (", subject, ") {", ...parts, "\n}");
  }

  #leave(): void {
    if (this.#breakable === "none") {
      this.#assign();
      return;
    }
    this.#push("if (", this.#condition(1), `) ${this.#random.pick(["break", "continue"])};`);
  }

  #early(): void {
    if (this.#inner > 0 || this.#depth === 0) {
      this.#assign();
      return;
    }
    this.note("earlyReturn");
    this.#push("if (", this.#condition(2), ") return ", this.value(this.#options.returns, 2), ";");
  }

  #localStruct(): void {
    this.note("struct");
    const { small, large } = this.#world;
    const struct = this.#random.chance(60) ? small : large;
    const name = this.#name("s");
    const same = this.#references.filter((one) => one.struct === struct);
    const source = this.#random.pick(same);
    if (source && this.#random.chance(40)) {
      const field = this.#random.pick(struct.fields.filter((one) => one.type.kind === "int"));
      const parts: Part[] = field ? [`, ${field.name}: `, this.#fieldValue(field)] : [];
      this.#push(`const ${name}: ${struct.name} = { ...${source.name}`, ...parts, " };");
    } else if (this.#random.chance(30)) this.#push(`const ${name} = ${struct.name}.zero();`);
    else this.#push(`const ${name}: ${struct.name} = `, this.#literalOf(struct), ";");
    this.addReference(name, struct, "stack");
    if (this.#random.chance(30)) this.#store();
    if (struct === small) this.#release(name);
  }

  #fieldValue(field: Field): Node {
    const { type } = field;
    const depth = this.#random.chance(30) ? 1 : 0;
    switch (type.kind) {
      case "bits": {
        const mask = (1n << BigInt(type.width)) - 1n;
        return expression(type.type, "(", this.value(type.type, depth), ` & ${mask}${isWide(type.type) ? "n" : ""})`);
      }
      case "array": {
        const parts = Array.from({ length: type.length }, (_, at): Part[] => [
          at > 0 ? ", " : "",
          this.value(type.type, depth),
        ]);
        return expression("array", "[", ...parts.flat(), "]");
      }
      case "struct":
        return this.#literalOf(type.struct);
      default:
        return this.value(valueTypeOf(type) ?? "u32", depth);
    }
  }

  #literalOf(struct: Struct): Node {
    const parts = struct.fields.flatMap((field, at): Part[] => [
      `${at > 0 ? ", " : " "}${field.name}: `,
      this.#fieldValue(field),
    ]);
    return expression("struct", "{", ...parts, " }");
  }

  // ---- members ----

  #members(reference: Reference): Member[] {
    const { space } = reference;
    const list = (struct: Struct, prefix: string): Member[] =>
      struct.fields.flatMap((field) => {
        const path = `${prefix}.${field.name}`;
        return field.type.kind === "struct" ? list(field.type.struct, path) : [{ path, field, space }];
      });
    return list(reference.struct, reference.name);
  }

  #anyMember(accept: (field: Field) => boolean): Member | undefined {
    const reference = this.#random.pick(this.#references);
    if (!reference) return undefined;
    // The outputs are written at the end.
    return this.#random.pick(
      this.#members(reference).filter((one) => !/^io\.o\d$/.test(one.path) && accept(one.field)),
    );
  }

  #store(): void {
    const member = this.#anyMember(() => true);
    if (!member) {
      this.#assign();
      return;
    }
    const { path, field } = member;
    const { type } = field;
    if (member.space === "packet") this.note("packet");
    else this.note("struct");
    if (type.kind === "bits") this.note("bits");
    if (type.kind === "be") this.note("bigEndian");
    if (type.kind === "array") {
      this.#push(`${path}[`, this.#index(type.length), "] = ", this.value(type.type, 2), ";");
    } else if (type.kind === "int" && this.#random.chance(30)) {
      this.#push(`${path} ${this.#random.pick(ARITHMETIC)}= `, this.value(type.type, 2), ";");
    } else {
      // Read before and after, as what forwards loads and stores sees it.
      const type = field.type.kind === "int" && this.#random.chance(40) ? field.type.type : null;
      if (type) this.#show(type, path);
      this.#push(`${path} = `, this.#fieldValue(field), ";");
      if (type) this.#show(type, path);
    }
  }

  /** Makes a value count: a global, or a variable, takes it in. */
  #show(type: string, value: string): void {
    const global = this.#options.hasContext ? this.#random.pick(this.#world.globals) : undefined;
    if (!global) this.#setSome(type, expression(type, `(${value} ^ `, this.#nonConstant(type), ")"));
    else {
      this.note("global");
      this.#push(`${global.name}.value += ${global.type}(${value});`);
    }
  }

  /** An update replaces an element, a deletion frees it: what a reference to it shows then is the next program's. */
  #holdsElement(): boolean {
    return this.#references.some((one) => one.space === "map" && one.struct === this.#world.small);
  }

  /** All bytes of a struct leave: into the packet or a map. */
  #release(name: string): void {
    if (!this.#options.hasContext || this.#callback > 0 || this.#random.chance(50)) return;
    if (this.#random.chance(50) || this.#holdsElement()) this.#push(`io.inner = ${name};`);
    else {
      this.note("map");
      this.#push("tab.set(", this.#tabKey(), `, ${name});`);
    }
  }

  #index(length: number): Node {
    const random = this.#random;
    if (random.chance(50)) return expression("index", String(random.below(length)));
    if (random.chance(70)) return expression("index", this.value("u32", 1), ` & ${length - 1}`);
    // A comparison may have narrowed the name to a literal, which TypeScript holds against the length.
    return expression("index", "u32(", this.#nonConstant("u32"), ")");
  }

  // ---- the packet, maps, globals ----

  #header(): void {
    this.note("packet");
    const name = this.#name("h");
    const { small } = this.#world;
    const mask = this.#random.pick([15, 63, 127]);
    this.#push(
      `const ${name} = ctx.header(Small, (`,
      this.value("u32", 1),
      ` & ${mask}) + ${this.#random.below(32)});`,
    );
    const body = this.#block(() => {
      this.addReference(name, small, "packet");
      this.fill(1 + this.#random.below(2));
      this.#store();
    });
    if (this.#random.chance(80)) this.#push(`if (${name}) `, body);
    else this.#push(`if (${name} !== null) `, body, " else ", this.#small());
  }

  mapStatement(): void {
    this.note("map");
    const random = this.#random;
    const drawn = random.below(12);
    const kind = (drawn === 6 || drawn === 7) && this.#holdsElement() ? 0 : drawn;
    if (kind < 4)
      this.#lookup(
        "arr",
        this.#world.large,
        expression("u32", "(", this.value("u32", 1), ` & ${random.pick([3, 7])})`),
      );
    else if (kind < 6) this.#lookup("tab", this.#world.small, this.#tabKey());
    else if (kind < 7)
      this.#push(
        "tab.set(",
        this.#tabKey(),
        ", ",
        this.#literalOf(this.#world.small),
        random.pick(["", ', "new"', ', "existing"']),
        ");",
      );
    else if (kind < 8) this.#setSome("i64", expression("i64", "tab.delete(", this.#tabKey(), ")"));
    else if (kind < 9)
      this.#setSome("i64", expression("i64", "cnt.set(", this.#cntKey(), ", ", this.value("u64", 2), ")"));
    else if (kind < 10)
      this.#setSome("u64", expression("u64", "(cnt.get(", this.#cntKey(), `) ?? ${literal(random, "u64")})`));
    else if (kind < 11) this.#cell();
    else
      this.#setSome(
        "u32",
        expression("u32", "(num.get((", this.value("u32", 1), ` & 15)) ?? ${literal(random, "u32")})`),
      );
  }

  #tabKey(): Node {
    return expression("u32", "(", this.value("u32", 1), " & 7)");
  }

  #cntKey(): Node {
    return expression("struct", "{ a: (", this.value("u32", 1), " & 3), b: u16(", this.value("u16", 0), " & 1) }");
  }

  #setSome(type: string, value: Node, options: { constant?: boolean } = {}): void {
    const target = this.#random.pick(this.#variables.filter((one) => one.mutable && one.type === type));
    if (target) this.#push(`${target.name} = `, value, ";");
    else {
      const name = this.#name("v");
      this.#push(`const ${name}: ${type} = `, value, ";");
      this.addVariable(name, type, { mutable: false, ...options });
    }
  }

  #cell(): void {
    const name = this.#name("c");
    this.#push(`const ${name} = cnt.ref(`, this.#cntKey(), ");");
    const body = block([statement(`${name}.value ${this.#random.pick(ARITHMETIC)}= `, this.value("u64", 2), ";")]);
    this.#push(`if (${name}) `, body);
  }

  #lookup(map: string, struct: Struct, key: Node): void {
    const name = this.#name("m");
    this.#push(`const ${name} = ${map}.get(`, key, ");");
    const body = this.#block(() => {
      this.addReference(name, struct, "map");
      const count = 1 + this.#random.below(2);
      for (let at = 0; at < count; at++) {
        const kind = this.#random.below(10);
        if (kind < 3) this.#atomic(name);
        else if (kind < 8) this.#store();
        else this.#statement();
      }
    });
    if (this.#random.chance(75)) this.#push(`if (${name}) `, body);
    else this.#push(`if (!${name}) `, this.#small(), " else ", body);
  }

  #atomic(reference: string): void {
    this.note("atomic");
    const random = this.#random;
    const struct = this.#references.find((one) => one.name === reference)?.struct;
    const field = struct?.fields[random.below(2)];
    if (!field || field.type.kind !== "int") return;
    const { type } = field.type;
    const name = random.pick([
      "atomicAdd",
      "atomicAnd",
      "atomicOr",
      "atomicXor",
      "atomicExchange",
      "atomicCompareExchange",
    ]);
    const operands: Part[] =
      name === "atomicCompareExchange" ? [this.value(type, 1), ", ", this.value(type, 1)] : [this.value(type, 1)];
    const call = expression(type, `${name}(${reference}, "${field.name}", `, ...operands, ")");
    if (random.chance(40)) this.#push(call, ";");
    else this.#setSome(type, call);
  }

  #global(): void {
    this.note("global");
    const { name, type } = this.#random.pick(this.#world.globals) ?? { name: "g0", type: "u64" };
    const value = this.value(type, 2);
    this.#push(
      this.#random.chance(50) ? `${name}.value = ` : `${name}.value ${this.#random.pick(ARITHMETIC)}= `,
      value,
      ";",
    );
  }

  // ---- closures ----

  #closure(): void {
    this.note("closure");
    const random = this.#random;
    const name = this.#name("k");
    const type = random.pick(INTS);
    const returns = random.pick(INTS);
    const outer = this.#breakable;
    this.#breakable = "none";
    this.#inner++;
    const body = this.#block(() => {
      this.addVariable(`${name}p`, type, { mutable: false });
      this.fill(1 + random.below(2));
      this.#push("return ", this.value(returns, 2), ";");
    });
    this.#inner--;
    this.#breakable = outer;
    this.#push(`const ${name} = (${name}p: ${type}): ${returns} => `, body, ";");
    const count = 1 + random.below(2);
    for (let at = 0; at < count; at++) {
      const call = expression(returns, `${name}(`, this.#dynamic(type, 1), ")");
      this.#setSome(returns, call, { constant: true });
    }
  }

  #bpfLoop(): void {
    this.note("bpfLoop");
    const random = this.#random;
    const name = this.#name("n");
    const times = random.chance(50) ? String(random.below(12)) : null;
    const bound = times === null ? expression("u32", "(", this.value("u32", 1), " & 15)") : expression("u32", times);
    const outer = { breakable: this.#breakable, references: this.#references };
    this.#breakable = "none";
    // A boolean that is null or not in the callback is not told to TypeScript; the packet's views are read anew there.
    this.#references = outer.references.filter((one) => one.space !== "packet");
    this.#inner++;
    this.#callback++;
    const body = this.#block(() => {
      this.addVariable(name, "u32", { mutable: false });
      this.fill(1 + random.below(2));
      this.#blurCarried();
      if (random.chance(40)) this.#push("return ", this.#condition(1), ";");
    });
    this.#callback--;
    this.#inner--;
    this.#breakable = outer.breakable;
    this.#references = outer.references;
    const call = expression("i64", "loop(", bound, `, (${name}) => `, body, ")");
    if (random.chance(50)) this.#push(call, ";");
    else this.#setSome("i64", call);
  }

  /**
   * What 64-bit variables a callback changes ends each round unknown. A sum with bounds has wider ones after each, and where an index behind the
   * loop wants them exactly, the kernel walks every round until they are all of 64 bits: that program is too large in any language.
   */
  #blurCarried(): void {
    const text = this.#statements.map((node) => print(node)).join("");
    for (const { name, type, mutable } of this.#variables) {
      const isChanged = new RegExp(String.raw`\b${name} \S*=[^=]|--${name}\b|\b${name}\+\+`).test(text);
      if (mutable && isWide(type) && isChanged) this.#push(`${name} ^= io.${type}b;`);
    }
  }

  // ---- what must be there ----

  divide64(): void {
    this.note("div64");
    const type = this.#random.pick(["u64", "i64"]);
    const value = expression(
      type,
      "(",
      this.#nonConstant(type),
      ` ${this.#random.pick(["/", "%"])} `,
      this.#divisor(type),
      ")",
    );
    this.#setSome(type, value);
  }

  /** Leaves the variables in the packet, so that each one counts. */
  outputs(count: number): void {
    this.#variables.slice(0, count).forEach(({ name }, at) => this.#push(`io.o${at} = u64(${name});`));
  }

  // ---- expressions ----

  #noteDivision(type: string): void {
    if (isWide(type)) this.note("div64");
  }

  /** A variable, converted where there is none of the type. */
  #nonConstant(type: string): Node {
    const known = this.#variables.filter((one) => one.dynamic);
    const own = this.#random.pick(known.filter((one) => one.type === type));
    if (own) return expression(type, own.name);
    const other = this.#random.pick(known);
    if (other && (!this.#options.hasContext || this.#random.chance(60)))
      return expression(type, `${type}(${other.name})`);
    return expression(type, `${type}(io.${this.#random.pick(INTS)}${this.#random.pick(["a", "b"])})`);
  }

  #divisor(type: string): Node {
    if (this.#random.chance(50)) return expression(type, positiveLiteral(this.#random, type));
    return this.#nonConstant(type);
  }

  #shiftCount(type: string): Node {
    const random = this.#random;
    const wide = isWide(type) ? "n" : "";
    if (random.chance(50)) return expression(type, `${random.below(bitsOf(type))}${wide}`);
    const value = this.#nonConstant(type);
    return random.chance(50) ? expression(type, "(", value, ` & ${bitsOf(type) - 1}${wide})`) : value;
  }

  #condition(depth: number): Node {
    const random = this.#random;
    const kind = depth > 0 ? random.below(10) : 0;
    if (kind === 9) return expression("bool", "!(", this.#condition(depth - 1), ")");
    if (kind >= 7) {
      this.note("shortCircuit");
      const operator = random.pick(["&&", "||"]);
      return expression("bool", "(", this.#condition(depth - 1), ` ${operator} `, this.#condition(depth - 1), ")");
    }
    const flags = this.#variables.filter((one) => one.type === "bool");
    if (kind === 6 && flags.length > 0) return expression("bool", (random.pick(flags) as Variable).name);
    const type = random.pick(INTS);
    const right = random.chance(40) ? expression(type, literal(random, type)) : this.value(type, depth - 1);
    return this.#comparison(type, right);
  }

  /** `a < (b > c ...` would be read as type arguments. */
  #comparison(type: string, right: Node): Node {
    const operator = this.#random.pick(COMPARISONS);
    if (this.#random.chance(20)) {
      // Both small: often equal.
      const mask = ` & 1${isWide(type) ? "n" : ""})`;
      return expression(
        "bool",
        "((",
        this.#nonConstant(type),
        `${mask} ${operator} (`,
        this.#nonConstant(type),
        `${mask})`,
      );
    }
    const shown = operator === "<" && right.parts.length > 1 ? expression(type, `${type}(`, right, ")") : right;
    const left = this.#nonConstant(type);
    return expression("bool", `(${type}(`, left, `) ${operator} `, shown, ")");
  }

  value(type: string, depth: number): Node {
    if (type === "bool") return this.#condition(depth);
    const random = this.#random;
    if (depth <= 0) return this.#leaf(type);
    const operand = (): Node => this.value(type, depth - 1 - random.below(2));
    switch (random.below(16)) {
      case 0:
      case 1:
        return this.#leaf(type);
      case 2:
        return expression(type, random.pick(["-(", "~("]), operand(), ")");
      case 3:
      case 4:
      case 5:
        return expression(type, `${type}(`, this.value(random.pick(INTS), depth - 1), ")");
      case 6:
        return expression(type, "(", this.#condition(depth - 1), " ? ", operand(), " : ", operand(), ")");
      case 7:
      case 8: {
        // Of a number that is only literals no type is known.
        const shifted = expression(type, `${type}(`, operand(), ")");
        return expression(
          type,
          `${type}(`,
          shifted,
          ` ${random.pick(isWide(type) ? ["<<", ">>"] : ["<<", ">>", ">>>"])} `,
          this.#shiftCount(type),
          ")",
        );
      }
      case 9: {
        this.#noteDivision(type);
        return expression(type, "(", operand(), ` ${random.pick(["/", "%"])} `, this.#divisor(type), ")");
      }
      case 10:
        return this.#call(type, depth) ?? this.#leaf(type);
      default: {
        const right = random.chance(30) ? expression(type, literal(random, type)) : operand();
        return expression(type, "(", operand(), ` ${random.pick(ARITHMETIC)} `, right, ")");
      }
    }
  }

  #call(type: string, depth: number): Node | null {
    const { small, functions } = this.#world;
    const reference = this.#references.find((one) => one.struct === small && one.space === "stack");
    const fitting = functions.filter((fn) => fn.returns !== "bool" && (reference || !fn.params.includes(small.name)));
    const fn = this.#random.pick(fitting);
    if (!fn || this.#loops > 1) return null;
    this.note("call");
    const args = fn.params.flatMap((param, at): Part[] => [
      at > 0 ? ", " : "",
      param === small.name ? (reference?.name ?? "") : this.#dynamic(param, depth - 1),
    ]);
    const call = expression(fn.returns, `${fn.name}(`, ...args, ")");
    return fn.returns === type ? call : expression(type, `${type}(`, call, ")");
  }

  #leaf(type: string): Node {
    const random = this.#random;
    const kind = random.below(20);
    if (kind < 9) {
      const fitting = random.pick(this.#variables.filter((one) => one.type === type));
      if (fitting) return expression(type, fitting.name);
    }
    if (kind < 11 && this.#variables.length > 0) return this.#nonConstant(type);
    if (kind < 15) {
      const member = this.#memberValue(type);
      if (member) return member;
    }
    if (kind < 16) {
      const table = random.pick(this.#world.tables.filter((one) => one.wide === isWide(type)));
      if (table) {
        this.note("table");
        const index = random.chance(70) ? ` & ${table.length - 1}` : "";
        return expression(
          type,
          `${type}(${table.name}[`,
          this.#nonConstant("u32"),
          `${index}] ?? 0${table.wide ? "n" : ""})`,
        );
      }
    }
    if (kind < 17 && this.#options.hasContext) {
      const global = random.pick(this.#world.globals);
      if (random.chance(30)) return expression(type, `${type}(limit.value)`);
      if (global) {
        this.note("global");
        return expression(type, `${type}(${global.name}.value)`);
      }
    }
    return expression(type, `${type}(${literal(random, type)})`);
  }

  #memberValue(type: string): Node | null {
    const random = this.#random;
    const member = this.#anyMember((field) => field.type.kind !== "bool" || random.chance(20));
    if (!member) return null;
    const { path, field } = member;
    if (member.space === "packet") this.note("packet");
    else this.note("struct");
    if (field.type.kind === "bits") this.note("bits");
    if (field.type.kind === "be") this.note("bigEndian");
    if (field.type.kind === "array") {
      const filler = isWide(field.type.type) ? "0n" : "0";
      return expression(type, `${type}(${path}[`, this.#index(field.type.length), `] ?? ${filler})`);
    }
    const own = valueTypeOf(field.type);
    return own === type ? expression(type, path) : expression(type, `${type}(${path})`);
  }
}
