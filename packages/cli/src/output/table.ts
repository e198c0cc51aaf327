/** Width on the terminal; colour does not count. */
function widthOf(cell: string): number {
  // oxlint-disable-next-line no-control-regex
  return [...cell.replace(/\u001b\[[\d;]*m/g, "")].length;
}

/** Columns under their headers, two blanks apart, without blanks at the end. A cell with line ends takes several lines. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [header, ...rows].flatMap(splitRow);
  const widths = header.map((_, column) => Math.max(...lines.map((cells) => widthOf(cells[column] ?? ""))));
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, column) => {
        const cell = cells[column] ?? "";
        return cell + " ".repeat(width - widthOf(cell));
      })
      .join("  ")
      .trimEnd();
  return lines.map((cells) => `${line(cells)}\n`).join("");
}

function splitRow(cells: readonly string[]): string[][] {
  const parts = cells.map((cell) => cell.split("\n"));
  const height = Math.max(...parts.map((part) => part.length));
  return Array.from({ length: height }, (_, line) => parts.map((part) => part[line] ?? ""));
}

/** `name  value` lines. */
export function formatPairs(pairs: readonly (readonly [name: string, value: string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length));
  return pairs
    .map(([name, value]) => {
      const indented = value.split("\n").join(`\n${" ".repeat(width + 2)}`);
      return `${`${name.padEnd(width)}  ${indented}`.trimEnd()}\n`;
    })
    .join("");
}
