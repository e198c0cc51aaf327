import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { usageError } from "../errors.ts";

/** The first folder from here upwards that has `inside`. */
function folderWith(inside: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, inside))) return folder;
    if (dirname(folder) === folder) throw usageError(`the example needs ${inside}, and it is not there`);
  }
}

export interface DemoFlags {
  readonly once?: boolean;
  readonly run: string;
  readonly sim?: boolean;
  readonly seed?: number;
  readonly uiAddr?: string;
  readonly patience?: number;
}

/** However the command was started (npx links to it): workloads of the example start from the bundle itself. */
export async function useDemoCommand(): Promise<void> {
  const { useCommand } = await import("../demo/stage.ts");
  useCommand(folderWith("demo-workload.mjs"));
}

export async function playDemo(options: DemoFlags): Promise<number> {
  const { demo } = await import("../demo/demo.ts");
  if (options.sim !== true) await useDemoCommand();
  const example = join(folderWith("examples/star-wars/policy.yaml"), "examples", "star-wars");
  const seed = options.seed === undefined ? {} : { seed: options.seed };
  const { uiAddr, patience } = options;
  const more = { ...(uiAddr !== undefined && { uiAddr }), ...(patience !== undefined && { patience }) };
  return demo({ once: options.once === true, run: options.run, example, sim: options.sim ?? null, ...seed, ...more });
}
