import { dropReasonTexts, dropsNotRaised } from "../src/index.ts";
import { dropFixtures } from "./drop-fixtures.ts";

/** Below it nothing was dropped. */
export const FIRST_DROP = 130;

/** A row of Markdown for each drop code. */
export function dropTable(familiesOf: (code: number) => readonly string[]): string[] {
  const rows = Object.entries(dropReasonTexts).flatMap(([number, text]) => {
    const code = Number(number);
    if (code < FIRST_DROP) return [];
    const fixture = dropFixtures.find((each) => each.code === code);
    const packet = fixture ? `${familiesOf(code).join(", ")}: ${fixture.packet}` : "";
    return [`| ${code} | ${text} | ${fixture ? packet : `never: ${dropsNotRaised[code] ?? ""}`} |`];
  });
  return ["| code | reason | packet |", "| --- | --- | --- |", ...rows];
}
