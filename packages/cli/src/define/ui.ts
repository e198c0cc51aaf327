import { type Command, Option } from "commander";
import type { UiOptions } from "../commands/ui.ts";
import { agentOption, examples, type Finish, serverOptions } from "./common.ts";

export function defineUi(program: Command, finish: Finish): void {
  const ui = agentOption(program.command("ui"))
    .summary("the page: service map, flows, policies")
    .description(
      "Serves the agent's page on this machine's loopback address and prints where: a map of who talks to whom, flows as they come,\n" +
        "policies and what they select. The page only shows; nothing can be changed through it. Ends with Ctrl-C.",
    )
    .option("--listen <address>", "loopback address; the port 0 is any free one", "127.0.0.1:12000")
    .addOption(new Option("--open <yes>", "open a browser").choices(["yes", "no"]).default("yes"));
  serverOptions(ui).action((options: UiOptions) => finish(async () => (await import("../commands/ui.ts")).ui(options)));
  examples(ui, ["skep ui", "skep ui --listen 127.0.0.1:0 --open no", "skep ui --server tls://hubble-relay:443"]);
}
