// What the shells themselves offer with the completion scripts, where they are installed.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { skep } from "./in-process.ts";

const TIMEOUT_MS = 120_000;

/** What is typed, and what is offered: exactly this, or at least this. */
const lines: readonly {
  readonly typed: string;
  readonly all?: readonly string[];
  readonly some?: readonly string[];
}[] = [
  { typed: "skep do", all: ["doctor", "down"] },
  { typed: "skep policy ", some: ["get", "wait", "trace"] },
  { typed: "skep endpoint list -o ", all: ["json", "table", "yaml"] },
  { typed: "skep observe --from-l", all: ["--from-label"] },
  { typed: "skep observe -o j", all: ["json", "jsonpb"] },
  { typed: "skep map dump p", all: ["pinned"] },
  // A word that is a command at another place: its commands are not offered here.
  { typed: "skep endpoint list n", all: [] },
  { typed: "skep list n", all: ["namespaces", "nodes"] },
];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "skep-completion-"));
  mkdirSync(join(folder, "empty"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(shell: string, ...args: readonly string[]): string {
  const { stdout, stderr, status } = spawnSync(shell, args, {
    ...{ encoding: "utf8", cwd: join(folder, "empty"), timeout: TIMEOUT_MS - 10_000 },
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, TERM: "dumb", LANG: "C" },
  });
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return stdout;
}

async function scriptOf(shell: string): Promise<string> {
  const path = join(folder, `skep.${shell}`);
  writeFileSync(path, (await skep("completion", shell)).stdout);
  return path;
}

function expectOffers(offers: readonly (readonly string[])[]): void {
  for (const [at, { typed, all, some }] of lines.entries()) {
    const offered = [...new Set(offers[at] ?? [])].sort();
    if (all) expect({ typed, offered }).toEqual({ typed, offered: all });
    else expect({ typed, offered }).toEqual({ typed, offered: expect.arrayContaining([...(some ?? [])]) as string[] });
  }
}

const has = (shell: string): boolean => spawnSync(shell, ["--version"]).status === 0;
for (const shell of ["zsh", "fish"]) if (!has(shell)) console.warn(`skipped: no ${shell} here`);

describe.skipIf(!has("fish"))("fish", () => {
  it(
    "offers commands, options and their values",
    async () => {
      const script = await scriptOf("fish");
      const asked = lines.map(({ typed }) => `echo LINE; complete -C '${typed}'`);
      const said = run("fish", "--no-config", "-c", [`source ${script}`, ...asked].join("\n"));
      const offers = said.split("LINE\n").slice(1);
      expectOffers(offers.map((each) => each.split("\n").flatMap((line) => line.split("\t")[0] || [])));
    },
    TIMEOUT_MS,
  );
});

/** In a terminal of zsh: Tab tells what is offered, and when that was all. */
const terminal = (script: string): string => String.raw`
PS1='' PS2=''
unset zle_bracketed_paste
autoload -Uz compinit && compinit -D -u
source ${script}
compadd() {
  if (( ${"$"}{@[(I)-[OAD]]} )); then builtin compadd "$@"; return; fi
  local -a hits
  builtin compadd -A hits "$@"
  for each in $hits; do print -r -- "<HIT $each>"; done
  builtin compadd "$@"
}
offer() { zle list-choices; print -r -- "<DONE>" }
zle -N offer
bindkey '^I' offer
bindkey '^U' kill-whole-line
`;

describe.skipIf(!has("zsh"))("zsh", () => {
  it(
    "offers commands, options and their values",
    async () => {
      const setup = join(folder, "terminal.zsh");
      writeFileSync(setup, terminal(await scriptOf("zsh")));
      const asked = lines.map(
        ({ typed }) => `zpty -w -n z $'\\x15${typed}\\t'\nzpty -r z said '*<DONE>*'\nprint -r -- "LINE $said"`,
      );
      const steps = [
        ...["zmodload zsh/zpty", "zpty z zsh -f -i", `zpty -w z 'source ${setup}; print "<""READY>"'`],
        ...["zpty -r z said '*<READY>*'", 'print -r -- "$said"', ...asked, "zpty -d z"],
      ];
      const [start = "", ...offers] = run("zsh", "-f", "-c", steps.join("\n")).split("LINE ");
      expect(start).not.toMatch(/_arguments|_skep|compdef:/);
      expectOffers(offers.map((each) => [...each.matchAll(/<HIT ([^>\n]*)>/g)].map(([, hit = ""]) => hit)));
    },
    TIMEOUT_MS,
  );

  it("takes the script from a folder of functions", async () => {
    const functions = join(folder, "functions");
    mkdirSync(functions);
    writeFileSync(join(functions, "_skep"), (await skep("completion", "zsh")).stdout);
    const said = run(
      "zsh",
      "-f",
      "-c",
      `fpath=(${functions} $fpath); autoload -Uz compinit && compinit -D -u; print $_comps[skep]`,
    );
    expect(said).toBe("_skep\n");
  });
});
