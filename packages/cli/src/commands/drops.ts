import { dropReasons } from "@skep/flows";
import { type ListFormat, printAs } from "../output/print.ts";
import { formatTable } from "../output/table.ts";

export function dropsList(options: { readonly output: ListFormat; readonly all?: boolean }): Promise<void> {
  const reasons = dropReasons().filter((reason) => options.all === true || reason.isDrop);
  const values = reasons.map(({ code, text, name, isDrop }) => ({ code, text, name, is_drop: isDrop }));
  return printAs(options.output, values, () =>
    formatTable(
      ["CODE", "TEXT", "NAME"],
      reasons.map(({ code, text, name }) => [`${code}`, text, name ?? "-"]),
    ),
  );
}
