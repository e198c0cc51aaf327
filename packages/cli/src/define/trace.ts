import { type Command, Option } from "commander";
import type { TraceOptions } from "../commands/trace.ts";
import { agentOption, examples, type Finish, listOption, wholeNumber } from "./common.ts";

export function defineTrace(program: Command, finish: Finish): void {
  const trace = program
    .command("trace")
    .summary("what becomes of one packet")
    .description("What the datapath does with a packet.");
  const packet = listOption(agentOption(trace.command("packet")))
    .summary("follow a packet through hooks and maps")
    .description(
      "Follows one packet: each hook, each look into a map with its key and what was found, and the verdict. The programs in force run on it in\n" +
        "user space, over the kernel's maps as they are now; nothing is sent, and nothing that they write gets into the kernel.\n" +
        "Exit status 1 where the packet is dropped.",
    )
    .requiredOption("--from <who>", "workload (NAMESPACE/NAME, or its number), `host`, or an address")
    .requiredOption("--to <who>", "workload, service (NAMESPACE/NAME), `host`, or an address")
    .option("--port <number>", "destination port", wholeNumber, 0)
    .addOption(new Option("--protocol <name>", "protocol").choices(["tcp", "udp", "sctp", "icmp"]).default("tcp"))
    .option("--source-port <number>", "source port; of ICMP the echo's number", wholeNumber, 40_000)
    .option("--flags <letters>", "of TCP: S, SA, A, FA, R", "S")
    .option("-6, --ipv6", "between the IPv6 addresses of those that are named")
    .option("--mark <number>", "the packet's mark", wholeNumber, 0)
    .option("--interface <name>", "where a packet from outside comes in; default by the route to its sender")
    .option("--no-socket", "the sender's socket was connected before: services are translated at its wire")
    .option("--answer", "the receiver's answer too, over what the packet has left in the maps")
    .option(
      "--sim <dir>",
      "on the simulated machine, with the policies, services and Pods of a folder: no root, no kernel",
    )
    .addOption(
      new Option("--pins <dir>", "folder of pinned maps, where no agent noted one").default("/sys/fs/bpf/skep"),
    )
    .action((options: TraceOptions) => finish(async () => (await import("../commands/trace.ts")).tracePacket(options)));
  examples(packet, [
    "skep trace packet --from client --to web --port 80",
    "skep trace packet --from default/client --to 10.96.0.10 --port 80 --no-socket --answer",
    "skep trace packet --from 203.0.113.9 --to web --port 80 --interface eth0 -o json",
    "skep trace packet --sim ./policies --from client --to web --protocol udp --port 53",
  ]);
}
