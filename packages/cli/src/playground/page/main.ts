/**
 * @module
 * The page: what its controls do. `?example=NAME&place=host&engine=fast&run=1` chooses, and runs at once.
 */
import { type CapturedPacket, linkTypes, readCapture, writePcap } from "@skep/net";
import type { Verification } from "@skep/verifier";
import type { EngineName } from "@skep/vm";
import { ask, stop } from "./ask.ts";
import { builtInCapture } from "./capture.ts";
import { byId, field, make, type PageElement, search } from "./dom.ts";
import { examples } from "./examples.ts";
import type { Outcome } from "./run.ts";
import { fill, say, showListing, showOutcome, showProblems, showVerdicts } from "./show.ts";

const source = field("source");
let packets: readonly CapturedPacket[] = [];

function clear(): void {
  for (const part of ["problems", "verdicts", "outcome", "listing"] as const) fill(part);
}

const runnable: ReadonlySet<string> = new Set(["xdp", "sched_cls"]);

/** The programs that can be run, to choose from; the choice stays while there is one of that name. */
function offer(programs: readonly { readonly name: string; readonly type: string }[]): void {
  const select = field("program");
  const before = select.value;
  const names = programs.flatMap(({ name, type }) => (runnable.has(type) ? [name] : []));
  select.replaceChildren(...names.map((name) => make("option", { value: name }, name)));
  if (names.includes(before)) select.value = before;
}

// ---- the three steps; each does those before it ----

async function compileStep(): Promise<boolean> {
  clear();
  const { problems, compiled } = await ask({ step: "compile", text: source.value });
  showProblems(problems, (start, length) => {
    source.focus();
    source.setSelectionRange(start, start + length);
  });
  if (compiled === null) {
    say("It does not compile.");
    return false;
  }
  offer(compiled.programs);
  showListing(compiled.listing);
  say(`Compiled: ${compiled.programs.map(({ name }) => name).join(", ") || "no programs"}.`);
  return true;
}

async function verifyStep(): Promise<readonly Verification[] | null> {
  if (!(await compileStep())) return null;
  say("Verifying ...");
  const verifications = await ask({ step: "verify" });
  showVerdicts(verifications);
  const refused = verifications.filter(({ refusal }) => refusal !== null).map(({ program }) => program);
  say(refused.length === 0 ? "Compiled and verified." : `The verifier refuses ${refused.join(", ")}.`);
  return verifications;
}

async function runStep(): Promise<void> {
  const verifications = await verifyStep();
  if (verifications === null) return;
  const name = field("program").value;
  if (name === "") return say("There is no xdp or tc program to run.");
  // As in the kernel: what is refused does not run.
  if (verifications.some(({ program, refusal }) => program === name && refusal !== null)) return;
  say("Running ...");
  const engine = field("engine").value as EngineName;
  const place = field("place").value === "host" ? "host" : "alone";
  const outcome = await ask({ step: "run", program: name, packets, engine, place });
  showOutcome(outcome, downloadOf(outcome));
  say(outcome.stopped === null ? `${name} ran on ${outcome.rows.length} packets.` : `${name} was stopped.`);
}

function downloadOf({ left }: Outcome): PageElement | null {
  if (left.length === 0) return null;
  const bytes = writePcap(left) as Uint8Array<ArrayBuffer>;
  const url = URL.createObjectURL(new Blob([bytes], { type: "application/vnd.tcpdump.pcap" }));
  return make("a", { href: url, download: "out.pcap" }, `Download the ${left.length} packets that were not dropped`);
}

const STEPS = ["compile", "verify", "run"] as const;

/** One at a time. A failure of the page itself is shown, not lost in the console. */
async function perform(what: string, step: () => unknown): Promise<void> {
  say(`${what} ...`);
  busy(true);
  try {
    await step();
  } catch (error) {
    say(`${what} failed: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    busy(false);
  }
}

let isBusy = false;

function busy(is: boolean): void {
  isBusy = is;
  for (const id of STEPS) field(id).disabled = is;
  field("stop").disabled = !is;
}

// ---- controls ----

function choose(name: string): void {
  const example = examples.find((each) => each.name === name);
  if (example === undefined) return;
  field("example").value = name;
  source.value = example.text;
  clear();
  say("Ready.");
}

function usePackets(given: readonly CapturedPacket[], name: string): void {
  packets = given;
  byId("capture-note").textContent = `${given.length} packets, ${name}`;
}

async function readChosen(): Promise<void> {
  const file = field("capture").files?.[0];
  if (file === undefined) return usePackets(builtInCapture(), "built in");
  const capture = readCapture(new Uint8Array(await file.arrayBuffer()));
  if (capture.error !== null) throw new Error(`${file.name}: ${capture.error.message}`);
  if (capture.interfaces.some(({ linkType }) => linkType !== linkTypes.ethernet))
    throw new Error(`${file.name} holds packets without Ethernet headers`);
  usePackets(capture.packets, file.name);
  say("Ready.");
}

/** The simulated host has an engine of its own. */
function enableEngine(): void {
  field("engine").disabled = field("place").value === "host";
}

function wire(): void {
  field("example").append(...examples.map(({ name, title }) => make("option", { value: name }, title)));
  field("example").addEventListener("change", () => choose(field("example").value));
  field("capture").addEventListener("change", () => void perform("Reading", readChosen));
  field("place").addEventListener("change", enableEngine);
  byId("compile").addEventListener("click", () => void perform("Compiling", compileStep));
  byId("verify").addEventListener("click", () => void perform("Verifying", verifyStep));
  byId("run").addEventListener("click", () => void perform("Running", runStep));
  byId("stop").addEventListener("click", stop);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("controls").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !(event.ctrlKey === true || event.metaKey === true)) return;
    event.preventDefault();
    if (!isBusy) void perform("Running", runStep);
  });
}

wire();
usePackets(builtInCapture(), "built in");
choose(examples[0]?.name ?? "");
const asked = search();
choose(asked.get("example") ?? "");
for (const name of ["place", "engine"]) {
  const before = field(name).value;
  field(name).value = asked.get(name) ?? before;
  // A select has no value where it is given one that it does not know.
  if (field(name).value === "") field(name).value = before;
}
enableEngine();
if (asked.get("run") === "1") void perform("Running", runStep);
