import { type Command, InvalidArgumentError, Option } from "commander";
import type { PlaygroundOptions } from "../playground/command.ts";
import { examples, type Finish } from "./common.ts";

function port(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= 65_535)) throw new InvalidArgumentError("not a port");
  return value;
}

export function definePlayground(program: Command, finish: Finish): void {
  const playground = program
    .command("playground")
    .summary("write, verify and run kernel programs in a browser")
    .description(
      "Serves a page on this machine's loopback address: an editor, the compiler, the verifier and the user-space machine, all in\n" +
        "the browser. Programs and captures stay in the page. Ends with Ctrl-C.",
    )
    .option("--port <n>", "port on 127.0.0.1; 0 lets the kernel choose", port, 8686)
    .addOption(new Option("--open <yes>", "open a browser").choices(["yes", "no"]).default("yes"))
    .action((options: PlaygroundOptions) =>
      finish(async () => (await import("../playground/command.ts")).playground(options)),
    );
  examples(playground, ["skep playground", "skep playground --port 0 --open no"]);
}
