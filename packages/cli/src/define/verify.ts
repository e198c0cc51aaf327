import type { Command } from "commander";
import type { VerifyFileOptions } from "../verify.ts";
import { examples, type Finish } from "./common.ts";

export function defineVerify(program: Command, finish: Finish): void {
  const verify = program
    .command("verify")
    .summary("verify kernel programs without a kernel")
    .description(
      "Walks every path of a program as the kernel's verifier does, and says why it is refused: the rule, the source line, values that break\n" +
        "it, a mend. Exit status 1 where a program is refused.",
    )
    .argument("<file>", "an object, or a module FILE.bpf.ts")
    .option("--program <name>", "only this program")
    .option("--kernel <version>", "the kernel that it is for, such as 5.10; default 6.18")
    .option(
      "--unprivileged",
      "for a user without CAP_BPF and CAP_PERFMON, where the kernel lets such users load programs",
    )
    .option("--explain", "the registers, and the path that leads there")
    .option("--budget", "where instructions and states are spent, by function and line")
    .action((file: string, options: Omit<VerifyFileOptions, "file">) =>
      finish(async () => (await import("../verify.ts")).verifyFile({ ...options, file })),
    );
  examples(verify, [
    "skep verify redirect.o",
    "skep verify --explain --program port80 redirect.bpf.ts",
    "skep verify --budget redirect.o",
    "skep verify --unprivileged --program filter filter.o",
  ]);
}
