/**
 * @module
 * Results as elements.
 */
import type { PathStep, Refusal, Verification } from "@skep/verifier";
import { byId, make, type PageElement } from "./dom.ts";
import type { Problem } from "./program.ts";
import type { MapTable } from "./maps.ts";
import type { Outcome, PacketRow } from "./run.ts";
import { FILE } from "./work.ts";

export type Part = "problems" | "verdicts" | "outcome" | "listing";

export function say(text: string): void {
  byId("status").textContent = text;
}

/** Without children the part is hidden. */
export function fill(part: Part, ...children: readonly PageElement[]): void {
  const element = byId(part);
  element.replaceChildren(...children);
  element.hidden = children.length === 0;
}

function table(caption: string, head: readonly string[], rows: readonly (readonly (string | PageElement)[])[]) {
  return make(
    "table",
    {},
    make("caption", {}, caption),
    make("thead", {}, make("tr", {}, ...head.map((each) => make("th", { scope: "col" }, each)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))))),
  );
}

// ---- compiler ----

/** `go` puts the cursor of the editor to a place. */
export function showProblems(problems: readonly Problem[], go: (start: number, length: number) => void): void {
  const shown = problems.flatMap(({ diagnostic, text }) => {
    const { span } = diagnostic;
    const pre = make("pre", { class: diagnostic.severity === "error" ? "bad" : "" }, text);
    if (span?.file !== FILE) return [pre];
    const button = make("button", { type: "button" }, `Go to line ${span.line}`);
    button.addEventListener("click", () => go(span.offset, span.length));
    return [pre, button];
  });
  fill("problems", ...(shown.length === 0 ? [] : [make("h2", {}, "Problems"), ...shown]));
}

export function showListing(text: string): void {
  fill(
    "listing",
    make("details", { open: "" }, make("summary", {}, "Instructions"), make("pre", { tabindex: "0" }, text)),
  );
}

// ---- verifier ----

const steps: Readonly<Record<PathStep["what"], string>> = {
  start: "begins",
  taken: "branch taken",
  "not-taken": "branch not taken",
  call: "calls",
  return: "returns",
  end: "here",
};

function refusalLines(refusal: Refusal): string {
  const { source } = refusal;
  const lines = [
    `at ${source === null ? "" : `${source.file}:${source.line}:${source.column}, `}instruction ${refusal.slot} of ${refusal.function}`,
    ...(source === null ? [] : [`  ${source.text.trim()}`]),
    ...(refusal.counterexample === null ? [] : [`for example: ${refusal.counterexample}`]),
    `rule: ${refusal.explanation}`,
    `mend: ${refusal.mend}`,
    "registers:",
    ...refusal.registers.map(({ register, value }) => `  r${register}: ${value}`),
    "path:",
    ...refusal.path.map(({ what, source: at, instruction }) => {
      const place = at === null ? `instruction ${instruction}` : `${at.line}  ${at.text.trim()}`;
      return `  ${steps[what].padEnd(16)} ${place}`;
    }),
  ];
  return lines.join("\n");
}

function verification({ program, refusal, budget, diagnostics }: Verification): PageElement[] {
  const notes = diagnostics.map(({ severity, message, code }) => make("p", {}, `${severity}: ${message} [${code}]`));
  if (refusal === null) {
    const cost = `${budget.walked} instructions walked, ${budget.states} states`;
    return [make("p", { class: "good" }, `${program}: accepted (${cost})`), ...notes];
  }
  return [
    make("p", { class: "bad" }, `${program}: refused: ${refusal.reason} [${refusal.code}]`),
    make("pre", { tabindex: "0" }, refusalLines(refusal)),
    ...notes,
  ];
}

export function showVerdicts(verifications: readonly Verification[]): void {
  fill("verdicts", make("h2", {}, "Verifier"), ...verifications.flatMap(verification));
}

// ---- packets and maps ----

const blocking: ReadonlySet<string> = new Set(["DROP", "SHOT", "ABORTED", "dropped"]);

/** More rows than that make a page slow and nobody wiser. */
const MOST = 1000;

const more = (count: number): PageElement[] => (count > 0 ? [make("p", {}, `... and ${count} more`)] : []);

function mapTable({ name, type, entries, more: others }: MapTable): PageElement[] {
  if (entries.length === 0) return [make("p", {}, `${name} (${type}): empty`)];
  const rows = entries.map(({ key, value }) => [key, value]);
  return [table(`${name} (${type})`, ["Key", "Value"], rows), ...more(others)];
}

function packetTable(packets: readonly PacketRow[]): PageElement[] {
  const rows = packets
    .slice(0, MOST)
    .map((row) => [
      String(row.packet),
      make("span", { class: blocking.has(row.verdict) ? "bad" : "good" }, row.verdict),
      row.summary,
      String(row.length),
      row.note,
    ]);
  const head = ["Packet", "Verdict", "What", "Bytes", "Note"];
  return [table(`${packets.length} packets`, head, rows), ...more(packets.length - MOST)];
}

function verdictCounts(packets: readonly PacketRow[]): PageElement {
  const counts = new Map<string, number>();
  for (const { verdict } of packets) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  return make("p", {}, Array.from(counts, ([verdict, count]) => `${count} ${verdict}`).join(", "));
}

export function showOutcome({ rows, maps, stopped }: Outcome, download: PageElement | null): void {
  fill(
    "outcome",
    ...(stopped === null ? [] : [make("p", { class: "bad" }, `stopped at ${stopped}`)]),
    make("h2", {}, "Packets"),
    verdictCounts(rows),
    ...packetTable(rows),
    ...(download === null ? [] : [make("p", {}, download)]),
    make("h2", {}, "Maps"),
    ...(maps.length === 0 ? [make("p", {}, "The program has none.")] : maps.flatMap(mapTable)),
  );
}
