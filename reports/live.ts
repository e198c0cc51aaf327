// Kills and starts the agent ROUNDS times (default 100) under a load of long and short connections, with programs replaced, backends coming and
// going and policies changing, and writes what the connections saw: reports/live.md.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { useCommand } from "../packages/cli/src/demo/stage.ts";
import { live, type LiveResult, troubles } from "../packages/cli/test/live/live.ts";

const rounds = Number(process.argv[2] ?? "100");
if (!Number.isInteger(rounds) || rounds < 1) {
  console.error("usage: npm run report -- live [ROUNDS]");
  process.exit(2);
}
if (process.getuid?.() !== 0) {
  console.error("the load needs root, BPF and network namespaces");
  process.exit(2);
}

const sum = (values: readonly number[]): number => values.reduce((total, each) => total + each, 0);

function report(result: LiveResult, found: readonly string[]): string {
  const { clients } = result;
  const lines = clients.flatMap(({ streams }) => streams.map((stream) => stream.lines));
  return `# Live replacement under load

\`npm run report -- live ${rounds}\`: three servers behind one service address, ${clients.length} clients in namespaces of their own, each with ${clients[0]?.streams.length} streams
of numbered lines (one every 10 ms) that stay open throughout, and short connections one after another. Counters of retransmission are the kernel's, of
each client's namespace.

| what was done | times |
| --- | ---: |
| agent killed (SIGKILL) and started | ${result.kills} |
| programs that stood at an interface, one after another | ${result.programs} |
| set of backends changed | ${result.backendChanges} |
| policy changed | ${result.policyChanges} |

| what the connections saw | |
| --- | ---: |
| streams, none reset, no line missing or twice | ${lines.length} |
| lines, shortest stream / all | ${Math.min(...lines)} / ${sum(lines)} |
| short connections answered | ${sum(clients.map(({ answered }) => answered))} |
| short connections failed | ${sum(clients.map(({ failures }) => failures.length))} |
| retransmission time-outs | ${sum(clients.map(({ timeouts }) => timeouts))} |
| of these, the first copy had arrived: the machine was late | ${sum(clients.map(({ twice }) => twice))} |
| segments sent again | ${sum(clients.map(({ retransmitted }) => retransmitted))} |
| established connections reset | ${sum(clients.map(({ resetsReceived }) => resetsReceived))} |

${found.length === 0 ? "Nothing was lost." : `TROUBLE:\n\n${found.map((each) => `- ${each}`).join("\n")}`}
`;
}

useCommand(join(dirname(dirname(fileURLToPath(import.meta.url))), "dist"));
const folder = mkdtempSync(join(tmpdir(), "skep-live-"));
try {
  const result = await live({
    ...{ run: join(folder, "run"), rounds, clients: 2, streams: 20 },
    onRound: (round) => {
      if ((round + 1) % 10 === 0) console.error(`${round + 1} of ${rounds}`);
    },
  });
  const found = troubles(result);
  if (result.programs !== rounds + 1) found.push(`${result.programs} programs stood, ${rounds + 1} should have`);
  const text = report(result, found);
  writeFileSync(fileURLToPath(new URL("live.md", import.meta.url)), text);
  process.stdout.write(text);
  if (found.length > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
