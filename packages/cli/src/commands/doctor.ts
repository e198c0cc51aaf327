import pc from "picocolors";
import { type Check, runDoctor } from "../doctor.ts";
import { EXIT_USAGE } from "../errors.ts";
import { hasColor, type ListFormat, printAs } from "../output/print.ts";
import { formatTable } from "../output/table.ts";

function table(checks: readonly Check[]): string {
  const { green, red, yellow } = pc.createColors(hasColor());
  const paint = { ok: green, limited: yellow, missing: red };
  const rows = checks.map(({ name, state, found, cost, mend }) => {
    const lines = [found, ...(cost === "" ? [] : [`costs: ${cost}`]), ...(mend === "" ? [] : [`mend:  ${mend}`])];
    return [paint[state](state), name, lines.join("\n")];
  });
  const missing = checks.filter((check) => check.state === "missing").length;
  const verdict = missing === 0 ? "The datapath can run here." : `The datapath cannot run here: ${missing} missing.`;
  return `${formatTable(["STATE", "WHAT", "FOUND"], rows)}\n${verdict}\n`;
}

/** Exit status 2 where the datapath cannot run. */
export async function printDoctor(format: ListFormat): Promise<number> {
  const checks = await runDoctor();
  await printAs(
    format,
    checks.map((check) => ({ ...check })),
    () => table(checks),
  );
  return checks.some((check) => check.state === "missing") ? EXIT_USAGE : 0;
}
