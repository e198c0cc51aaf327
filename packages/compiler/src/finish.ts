import type { Block, FunctionBuilder, IrFunction, Terminator } from "@skep/ir";

function successors(terminator: Terminator | undefined): readonly Block[] {
  switch (terminator?.op) {
    case "jump":
      return [terminator.to];
    case "branch":
      return [terminator.then, terminator.else];
    case "switch":
      return [...terminator.cases.map((one) => one.to), terminator.default];
    default:
      return [];
  }
}

/** The function with its dead blocks removed: what follows a return, and ways that constants have decided. */
export function finishFunction(builder: FunctionBuilder): IrFunction {
  const { function: fn } = builder;
  const [entry] = fn.blocks;
  const reached = new Set<Block>();
  const work = entry ? [entry] : [];
  for (let block = work.pop(); block; block = work.pop()) {
    if (reached.has(block)) continue;
    reached.add(block);
    block.terminator ??= { op: "unreachable" };
    work.push(...successors(block.terminator));
  }
  fn.blocks = fn.blocks.filter((block) => reached.has(block));
  return fn;
}
