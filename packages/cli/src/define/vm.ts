import { type Command, Option } from "commander";
import type { VmPluginOptions, VmRunOptions } from "../commands/vm.ts";
import { examples, type Finish, listOption } from "./common.ts";

const engine = (): Option =>
  new Option("--engine <name>", "how programs run: checked holds every access against its object, fast does not")
    .choices(["interpreter", "checked", "fast"])
    .default("checked");

export function defineVm(program: Command, finish: Finish): void {
  const vm = program
    .command("vm")
    .summary("run programs without a kernel")
    .description("Runs eBPF programs in the user-space machine: no root, no kernel, on any system that Node runs on.");
  defineVmRun(vm, finish);
  defineVmPlugin(vm, finish);
}

function defineVmRun(vm: Command, finish: Finish): void {
  const run = listOption(vm.command("run"))
    .summary("run a program on captured packets")
    .description(
      "Runs an xdp or tc program on every packet of a capture and shows the verdicts and the maps afterwards. Time is that of\n" +
        "the packets. A program that does what no verified program does is stopped: the exit status is 1, with instruction and line.",
    )
    .argument("<file>", "an eBPF object, or a kernel module (FILE.bpf.ts), which is compiled")
    .requiredOption("--pcap <file>", "packets to run it on (pcap or pcapng)")
    .option("--out <file>", "write the packets that were not dropped, as they left")
    .option("--program <name>", "which program, where the file has several")
    .addOption(engine())
    .action((file: string, options: Omit<VmRunOptions, "file">) =>
      finish(async () => (await import("../commands/vm.ts")).vmRun({ ...options, file })),
    );
  examples(run, [
    "skep vm run redirect.bpf.ts --pcap in.pcap",
    "skep vm run filter.o --program drop_http --pcap in.pcap --out out.pcap -o json",
  ]);
}

function defineVmPlugin(vm: Command, finish: Finish): void {
  const plugin = vm
    .command("plugin")
    .summary("run one program for a conformance runner")
    .description(
      "Takes a program as hexadecimal bytes on standard input and memory as hexadecimal bytes in the argument; prints r0 in\n" +
        "hexadecimal: what bpf_conformance's runner asks of a plugin.",
    )
    .argument("[memory]", "bytes that r1 points to and r2 counts, as in '00 01 ff'")
    .option("--program <bytes>", "the program, instead of standard input")
    .option("--elf", "the program is an object file: its first xdp program runs, on the memory as its packet")
    .option("--debug", "say on standard output why a program cannot be run")
    .addOption(engine())
    .action((memory: string | undefined, options: Omit<VmPluginOptions, "memory">) =>
      finish(async () => (await import("../commands/vm.ts")).vmPlugin({ ...options, memory: memory ?? "" })),
    );
  examples(plugin, [
    "echo 'b7 00 00 00 2a 00 00 00 95 00 00 00 00 00 00 00' | skep vm plugin",
    "bpf_conformance_runner --test_file_directory tests --plugin_path skep-plugin",
  ]);
}
