import { type Command, Option } from "commander";
import type { RelayOptions } from "../commands/relay.ts";
import { collect, examples, type Finish, listOption, tlsOptions, wholeNumber } from "./common.ts";
import type { CompileOptions } from "../commands/compile.ts";
import type { ConnectivityOptions } from "../commands/connectivity.ts";
import type { ListFormat } from "../output/print.ts";

export function defineDoctor(program: Command, finish: Finish): void {
  const doctor = listOption(program.command("doctor"))
    .summary("what this machine offers, and what is missing")
    .description(
      "Looks at the kernel, its BPF features, privileges, file systems and Node; says what is missing and what that costs.\n" +
        "Exit status 0 where the datapath can run, 2 where it cannot.",
    )
    .action((options: { readonly output: ListFormat }) =>
      finish(async () => (await import("../commands/doctor.ts")).printDoctor(options.output)),
    );
  examples(doctor, ["skep doctor", "skep doctor -o json"]);
}

export function defineCompile(program: Command, finish: Finish): void {
  const compile = program
    .command("compile")
    .summary("compile a kernel program")
    .description(
      "Compiles kernel TypeScript to a standard eBPF object with BTF and line information. Problems are shown with file, line,\n" +
        "column and a caret; then the exit status is 1 and nothing is written.",
    )
    .argument("<file>", "the module, FILE.bpf.ts")
    .option("-o, --output <file>", "the object; default FILE.o beside the module")
    .option("--check", "only check, write nothing")
    .addOption(
      new Option(
        "--emit <what>",
        "print instead of write: the intermediate form, instructions, type information, the types in C (as a header), the exports' declarations, or\n" +
          "the pure functions as JavaScript (with -o FILE.js written, with a .d.ts); obj writes",
      ).choices(["ir", "asm", "obj", "btf", "c", "c-header", "d.ts", "js"]),
    )
    .option("--explain <function>", "show the instructions of a function beside its source")
    .option("--watch", "compile again whenever a file changes")
    .addOption(new Option("--cpu <version>", "instruction set").choices(["v1", "v2", "v3", "v4"]).default("v3"))
    .option("--no-optimize", "no passes")
    .action((file: string, options: Omit<CompileOptions, "file">) =>
      finish(async () => (await import("../commands/compile.ts")).compileFile({ ...options, file })),
    );
  examples(compile, [
    "skep compile redirect.bpf.ts -o redirect.o",
    "skep compile --check redirect.bpf.ts",
    "skep compile --emit asm redirect.bpf.ts",
    "skep compile --explain port80 redirect.bpf.ts",
    "skep compile --watch --check redirect.bpf.ts",
  ]);
}

export function defineDrops(program: Command, finish: Finish): void {
  const drops = program
    .command("drops")
    .summary("drop codes")
    .description("Codes that the datapath drops packets with.");
  examples(
    listOption(drops.command("list"))
      .summary("list drop codes")
      .description("Lists every code with its text and its name in Hubble's API.")
      .option("--all", "codes below 130 too: they are notes, not drops")
      .action((options: { readonly output: ListFormat; readonly all?: boolean }) =>
        finish(async () => (await import("../commands/drops.ts")).dropsList(options)),
      ),
    ["skep drops list", "skep drops list -o json"],
  );
}

export function defineCompletion(program: Command, finish: Finish): void {
  const completion = program
    .command("completion")
    .summary("completion for a shell")
    .description("Prints the script that completes skep's commands and options in a shell.")
    .argument("<shell>", "bash, zsh or fish")
    .action((shell: string) =>
      finish(async () => (await import("../commands/completion.ts")).printCompletion(program, shell)),
    );
  examples(completion, [
    'bash: eval "$(skep completion bash)"',
    "zsh:  skep completion zsh > ~/.zfunc/_skep",
    "fish: skep completion fish > ~/.config/fish/completions/skep.fish",
  ]);
}

export function defineVersion(program: Command, finish: Finish): void {
  const version = program
    .command("version")
    .summary("print versions")
    .description("Prints the versions of skep, Node and the kernel.")
    .addOption(
      new Option("-o, --output <format>", "how to print it").choices(["table", "json", "yaml"]).default("table"),
    )
    .action((options: { readonly output: ListFormat }) =>
      finish(async () => (await import("../commands/version.ts")).printVersion(options.output)),
    );
  examples(version, ["skep version -o json"]);
}

export function defineRelay(program: Command, finish: Finish): void {
  const relay = program
    .command("relay")
    .summary("serve the flows of several agents as one")
    .description(
      "Serves Hubble's API in front of several servers of it: flows in the order of their time, totals summed, and a word on each\n" +
        "node that does not answer. The nodes are fixed (--peer), or those that a Peer service names, as in Cilium's hubble-relay;\n" +
        "each is connected to again while it is away. With one peer it brings an agent's unix socket to a port, with TLS where it is told to.",
    )
    .option("--peer-service <server>", "an agent's server, whose Peer service names the nodes as they come and go")
    .option("--peer <name=server>", "a node: NAME=unix://PATH or NAME=HOST:PORT; several times", collect)
    .option("--listen <address>", "HOST:PORT or unix://PATH", "127.0.0.1:4245")
    .option("--name <name>", "name of the relay in what it says itself", "relay")
    .option("--listen-tls-cert-file <file>", "certificate of this server")
    .option("--listen-tls-key-file <file>", "key of this server")
    .option("--listen-tls-client-ca-file <file>", "clients must have a certificate of this authority");
  tlsOptions(relay.optionsGroup("To the peers:")).action((options: RelayOptions) =>
    finish(async () => (await import("../commands/relay.ts")).relay(options)),
  );
  examples(relay, [
    "skep relay --peer node1=unix:///run/skep/skep.sock --listen 0.0.0.0:4245",
    "skep relay --peer-service unix:///run/skep/skep.sock --listen 127.0.0.1:4245",
    "skep relay --peer a=10.0.0.1:4245 --peer b=10.0.0.2:4245 --listen unix:///run/skep/relay.sock",
  ]);
}

export function defineConnectivity(program: Command, finish: Finish): void {
  const connectivity = program
    .command("connectivity")
    .summary("whether everything reaches what it may, and nothing else")
    .description("Scenarios of Cilium's connectivity test, under Cilium's names.");
  examples(
    listOption(connectivity.command("test"))
      .summary("play the scenarios")
      .description(
        "Makes a host, workloads and a world outside, in namespaces of its own or on the simulated machine, plays the scenarios and takes\n" +
          "everything away. A probe that fails must have been dropped by the right policy in the right direction.",
      )
      .option("--sim", "on the simulated machine: no root, no kernel")
      .option("--seed <number>", "of the simulated machine", wholeNumber)
      .option("-t, --test <regex>", "only scenarios named like this; may be given several times", collect)
      .option("--list", "name the scenarios")
      .option("--junit-file <file>", "write JUnit's XML too")
      .option("--capture <file>", "write the frames that passed, as pcapng")
      .action((options: ConnectivityOptions) =>
        finish(async () => (await import("../commands/connectivity.ts")).connectivityTest(options)),
      ),
    [
      "skep connectivity test",
      "skep connectivity test --sim -t egress --junit-file out.xml",
      "skep connectivity test --list",
    ],
  );
}
