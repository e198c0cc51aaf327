import type { ConnectionEnd } from "./explain.ts";
import type { PolicyEngine } from "./engine.ts";
import type { PortQuery } from "./ports-text.ts";
import { formatTable } from "./table.ts";
import { formatPort } from "./text.ts";
import { bothVerdicts, Verdicts, type ConnectionVerdict } from "./verdicts.ts";

export interface TableEnd extends ConnectionEnd {
  readonly name: string;
}

export interface TruthRow {
  readonly from: string;
  readonly to: string;
  readonly protocol: number;
  readonly port: number;
  /** What the source's policy says. */
  readonly egress: ConnectionVerdict;
  /** What the destination's policy says. */
  readonly ingress: ConnectionVerdict;
  readonly verdict: ConnectionVerdict;
}

/** Verdicts of every connection between different ends. */
export function truthTable(engine: PolicyEngine, ends: readonly TableEnd[], ports: readonly PortQuery[]): TruthRow[] {
  const verdicts = new Verdicts(engine);
  const rows: TruthRow[] = [];
  for (const source of ends)
    for (const destination of ends) {
      if (source === destination) continue;
      for (const { protocol, port } of ports) {
        const query = { source, destination, protocol, port };
        const egress = verdicts.side("egress", query);
        const ingress = verdicts.side("ingress", query);
        const verdict = bothVerdicts(egress, ingress);
        rows.push({ from: source.name, to: destination.name, protocol, port, egress, ingress, verdict });
      }
    }
  return rows;
}

const marks: Readonly<Record<ConnectionVerdict, string>> = { allowed: ".", denied: "X", redirected: "P" };

/** One grid a port: sources down, destinations across; `.` allowed, `X` denied, `P` through a proxy. */
export function formatTruthTable(rows: readonly TruthRow[]): string {
  const ports = new Map(rows.map((row) => [formatPort(row.protocol, row.port), row]));
  const names = [...new Set(rows.flatMap(({ from, to }) => [from, to]))];
  const cells = new Map(
    rows.map((row) => [`${row.from}\n${row.to}\n${formatPort(row.protocol, row.port)}`, row.verdict]),
  );
  return [...ports.keys()]
    .map((port) => {
      const lines = names.map((from) => [
        from,
        ...names.map((to) => {
          const verdict = cells.get(`${from}\n${to}\n${port}`);
          return verdict === undefined ? "-" : marks[verdict];
        }),
      ]);
      return `${port}\n${formatTable(["", ...names], lines)}`;
    })
    .join("\n\n");
}
