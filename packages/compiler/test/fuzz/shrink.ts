/**
 * @module
 * Makes a failing module small: programs and functions that it does without go, then statements, then expressions become what they contain
 * or a literal, as long as it fails alike.
 */
import type { FuzzModule } from "./generate.ts";
import { replace, walk, zeroOf, type Node, type Part } from "./nodes.ts";

export interface ShrinkOptions {
  /** Whether a smaller module still fails in the same way. */
  readonly fails: (module: FuzzModule) => boolean;
  /** Modules that are tried. Default 400. */
  readonly tries?: number;
  /** Milliseconds after which the best so far is taken. Default: no limit. */
  readonly patience?: number;
}

export function shrink(module: FuzzModule, program: string, options: ShrinkOptions): FuzzModule {
  let tries = options.tries ?? 400;
  let best = module;
  const until = performance.now() + (options.patience ?? Infinity);
  const attempt = (candidate: FuzzModule): boolean => {
    if (tries-- <= 0 || performance.now() > until || !options.fails(candidate)) return false;
    best = candidate;
    return true;
  };
  dropPrograms(() => best, program, attempt);
  dropFunctions(() => best, attempt);
  for (;;) {
    const cut = cutStatements(() => best, attempt);
    if (!cutExpressions(() => best, attempt) && !cut) break;
  }
  dropFunctions(() => best, attempt);
  return best;
}

type Attempt = (candidate: FuzzModule) => boolean;

function dropPrograms(best: () => FuzzModule, program: string, attempt: Attempt): void {
  const only = best().programs.filter((one) => one.name === program);
  if (attempt({ ...best(), programs: only })) return;
  // It needs what others left in the maps.
  for (const one of best().programs) {
    if (one.name !== program) attempt({ ...best(), programs: best().programs.filter((kept) => kept !== one) });
  }
}

function dropFunctions(best: () => FuzzModule, attempt: Attempt): void {
  if (best().functions.length > 0) attempt({ ...best(), functions: [] });
  for (const fn of [...best().functions].reverse()) {
    if (best().functions.includes(fn)) {
      attempt({ ...best(), functions: best().functions.filter((kept) => kept !== fn) });
    }
  }
}

/** The module with a node of a program or function replaced. */
function change(module: FuzzModule, old: Node, by: readonly Part[]): FuzzModule {
  const put = <T extends { readonly node: Node }>(list: readonly T[]): T[] =>
    list.map((one) => {
      const node = replace(one.node, old, by);
      return node === one.node ? one : { ...one, node };
    });
  return { ...module, functions: put(module.functions), programs: put(module.programs) };
}

/** What may be cut: all but the declarations themselves. */
function nodesOf(module: FuzzModule): Node[] {
  return [...module.programs, ...module.functions].flatMap((one) => walk(one.node).slice(1));
}

function cutStatements(best: () => FuzzModule, attempt: Attempt): boolean {
  let changed = false;
  // Behind first: what is declared before is used there.
  for (const node of nodesOf(best()).reverse()) {
    if (node.role !== "statement" || !nodesOf(best()).includes(node)) continue;
    if (attempt(change(best(), node, []))) {
      changed = true;
      continue;
    }
    // A statement with a body: the body alone.
    for (const inner of node.parts) {
      if (typeof inner === "string" || inner.role !== "block") continue;
      if (attempt(change(best(), node, inner.parts))) {
        changed = true;
        break;
      }
    }
  }
  return changed;
}

function cutExpressions(best: () => FuzzModule, attempt: Attempt): boolean {
  let changed = false;
  for (const node of nodesOf(best())) {
    const { type } = node;
    if (node.role !== "expression" || type === undefined || node.parts.length < 2) continue;
    if (!nodesOf(best()).includes(node)) continue;
    const same = walk(node).filter((inner) => inner !== node && inner.role === "expression" && inner.type === type);
    const smaller: Part[] = [...(/^(bool|[iu]\d+)$/.test(type) ? [zeroOf(type)] : []), ...same];
    changed = smaller.some((by) => attempt(change(best(), node, [by]))) || changed;
  }
  return changed;
}
