import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { usageError } from "../errors.ts";

/** The example's folder: beside the bundle's folder, or further up where the sources run. */
function exampleFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const found = join(folder, "examples", "star-wars");
    if (existsSync(join(found, "policy.yaml"))) return found;
    if (dirname(folder) === folder) throw usageError("the example's documents (examples/star-wars) are not there");
    folder = dirname(folder);
  }
}

export async function playDemo(options: { readonly once?: boolean; readonly run: string }): Promise<number> {
  const { demo } = await import("../demo/demo.ts");
  return demo({ once: options.once === true, run: options.run, example: exampleFolder() });
}
