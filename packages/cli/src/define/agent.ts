import { type Command, Option } from "commander";
import { agentOption, collect, DEFAULT_RUN, examples, type Finish, wholeNumber } from "./common.ts";
import type { DemoFlags } from "../commands/demo.ts";
import type { DownOptions } from "../commands/down.ts";
import type { RunOptions } from "../commands/run.ts";
import type { UpOptions } from "../commands/up.ts";
import { tableOptions } from "./up-tables.ts";

function placeOptions(command: Command): Command {
  return agentOption(command)
    .option("--state <dir>", "folder of what must outlive a restart", "/var/lib/skep")
    .option("--pins <dir>", "folder of pinned maps and links, in a BPF file system", "/sys/fs/bpf/skep")
    .option("--cgroup <path>", "cgroup below the cgroup2 root whose sockets are balanced; default the root", "")
    .option("--netns <path>", "file of the network namespace that is the host; default this one");
}

export function defineUp(program: Command, finish: Finish): void {
  const up = placeOptions(program.command("up").argument("<dir>", "folder of policies and services, watched"))
    .summary("start the agent")
    .description(
      "Starts the agent in the foreground: loads the datapath, or adopts the one that is in force, and enforces the folder.\n" +
        "SIGTERM and SIGINT end it and leave the datapath in force; `skep down` takes it away.",
    )
    .option("--pod-cidr <prefix>", "addresses of workloads", "10.244.0.0/16")
    .option("--pod-cidr6 <prefix>", "their IPv6 addresses, or none", "fd00:10:244::/112")
    .option("--service-cidr <prefix>", "addresses of services", "10.96.0.0/16")
    .addOption(
      new Option("--lb-algorithm <name>", "how services without an annotation choose a backend")
        .choices(["random", "maglev"])
        .default("random"),
    )
    .addOption(
      new Option("--maglev-table-size <slots>", "a prime; about 100 times the backends of the largest service")
        .choices(["251", "509", "1021", "2039", "4093", "8191", "16381", "32749", "65521", "131071"])
        .default("16381"),
    )
    .addOption(
      new Option(
        "--lb-mode <mode>",
        "how what comes for a service goes to other nodes: with this node's address, or with the client's, which the other node answers; hybrid: TCP is answered there",
      )
        .choices(["snat", "dsr", "hybrid"])
        .default("snat"),
    )
    .addOption(
      new Option(
        "--lb-dsr-dispatch <how>",
        "how the other node is told what the client has asked: in an option of the IP header, in one of a tunnel, or the packet goes as it is in another",
      )
        .choices(["opt", "ipip", "geneve"])
        .default("opt"),
    )
    .addOption(
      new Option("--lb-acceleration <mode>", "forward to other nodes by XDP at the devices")
        .choices(["disabled", "native", "generic"])
        .default("disabled"),
    )
    .addOption(
      new Option("--lb-no-backend <what>", "clients of a service without a backend are told so, or left waiting")
        .choices(["reject", "drop"])
        .default("reject"),
    )
    .addOption(
      new Option(
        "--nat46x64 <what>",
        "translate between the IP families: services that have backends of the other one alone, or also what IPv6 clients send to IPv4 hosts by 64:ff9b::/96",
      ).choices(["services", "gateway"]),
    )
    .addOption(
      new Option(
        "--lb-terminate <sockets>",
        "those that are ended when the backend that they are connected to has gone",
      )
        .choices(["none", "udp", "all"])
        .default("udp"),
    )
    .option(
      "--prefilter-cidrs <file>",
      "prefixes, one a line, whose packets are dropped at the devices before all else; read again when it changes",
    )
    .option("--node-port-range <first,last>", "ports of the node for services", "30000,32767")
    .option(
      "--devices <names>",
      "interfaces by which workloads' packets leave the host, with its address; commas between",
    )
    .option("--no-masquerade", "workloads keep their addresses when they leave the cluster")
    .option("--non-masquerade-cidr <prefix>", "where they keep them; may be given several times", collect)
    .option(
      "--departure-times",
      "the devices' queues are fq: rates of workloads delay packets instead of dropping them",
    )
    .addOption(
      new Option("--routing <mode>", "how packets get to other nodes' workloads: over the nodes, or in tunnels")
        .choices(["native", "tunnel", "vxlan", "geneve"])
        .default("native"),
    )
    .addOption(
      new Option("--tunnel-protocol <protocol>", "of the tunnels, with --routing tunnel")
        .choices(["vxlan", "geneve"])
        .default("vxlan"),
    )
    .addOption(
      new Option("--underlay-protocol <family>", "of the other nodes' addresses that tunnels lead to")
        .choices(["ipv4", "ipv6"])
        .default("ipv4"),
    )
    .addOption(
      new Option("--datapath-mode <kind>", "what workloads' devices are; auto: netkit where the kernel has it")
        .choices(["veth", "netkit", "netkit-l2", "auto"])
        .default("veth"),
    )
    .option("--node-name <name>", "name of this node in flows; default the host's name")
    .option("--cluster-name <name>", "cluster of this node, in flows and for policies; default default")
    .addOption(
      new Option(
        "--policy-enforcement <mode>",
        "until `skep config set` says otherwise: which workloads are default-deny",
      ).choices(["default", "always", "never"]),
    )
    .option(
      "--socket-splice",
      "connections between workloads of this node go from socket to socket (TCP, without rates)",
    )
    .option("--egress-gateway", "CiliumEgressGatewayPolicies are in force (between nodes: with --routing tunnel)")
    .option("--host-firewall", "policies with a nodeSelector are in force between the host and its workloads")
    .option("--node-label <key=value>", "label of this node, for nodeSelector; may be given several times", collect)
    .option("--policy-verdicts", "a flow for every question to a policy, not only for denials and audits")
    .addOption(
      new Option(
        "--monitor-aggregation <level>",
        "which packets that go on leave a flow: all, and where they come in (none); all (low); those that open a connection, have one of the flags, or come after the interval (medium); those that open a connection, and their first answer (maximum)",
      )
        .choices(["none", "low", "medium", "maximum"])
        .default("maximum"),
    )
    .option("--monitor-aggregation-interval <time>", "of medium: 1s to 127s", "5s")
    .option("--monitor-aggregation-flags <flags>", "of medium: TCP flags, commas between", "syn,fin,rst")
    .option("--metrics-addr <address>", "serve Prometheus metrics there: 127.0.0.1:9962; loopback only")
    .option("--flow-buffer <flows>", "flows kept in memory, 124 bytes each; default 65535", wholeNumber)
    .option("--flow-history <dir>", "keep flows on disk too, below this folder")
    .option("--flow-history-size <bytes>", "at most so much: 500MB, 10GB", "1GB")
    .option("--flow-history-age <time>", "and not longer: 12h, 30d", "7d")
    .option("--api-addr <address>", "serve the API to pages there, to read: 127.0.0.1:4246; loopback only")
    .option(
      "--hubble-listen-address <address>",
      "serve Hubble's API there too, to read: 127.0.0.1:4244; beyond loopback with TLS only, as :4244 for all addresses",
    )
    .option("--hubble-tls-cert-file <file>", "certificate of this node for that; read again when it changes")
    .option("--hubble-tls-key-file <file>", "its key")
    .option(
      "--hubble-tls-client-ca-files <files>",
      "clients must have a certificate of one of these authorities; commas between",
      collect,
    )
    .option("--hubble-disable-tls", "without TLS, on loopback, whatever files are named")
    .option(
      "--hubble-peer-port <port>",
      "where the other nodes serve Hubble's API, as a relay is told by the Peer service; default as here, else 4244",
      wholeNumber,
    )
    .option(
      "--hubble-metrics <metric>",
      "metric of flows with its options, as drop:labelsContext=source_pod; may be given several times",
      collect,
    )
    .option("--hubble-export-file-path <file>", "write flows there as JSON lines, or to stdout")
    .option("--hubble-export-file-max-size-mb <n>", "then the file is put aside", wholeNumber, 10)
    .option("--hubble-export-file-max-backups <n>", "files that are kept beside; 0: all", wholeNumber, 5)
    .option("--hubble-export-file-compress", "compress those with gzip")
    .option("--hubble-export-allowlist <filters>", "only flows that one of these filters in JSON takes", collect)
    .option("--hubble-export-denylist <filters>", "none that one of these takes", collect)
    .option("--hubble-export-fieldmask <paths>", "only these fields: time,source.pod_name,verdict", collect)
    .option("--hubble-export-fieldaggregate <paths>", "one line with counts for flows alike in these fields", collect)
    .option("--hubble-export-aggregation-interval <time>", "for how long such flows gather: 30s")
    .option(
      "--hubble-flowlogs-config-path <file>",
      "several such outputs, in Cilium's YAML; read again when it changes",
    )
    .option("--otlp-endpoint <url>", "send flows and metrics to a collector of OpenTelemetry: http://127.0.0.1:4318")
    .addOption(
      new Option("--otlp-signals <what>", "which of them")
        .choices(["logs", "metrics", "logs,metrics"])
        .default("logs,metrics"),
    )
    .option("--otlp-header <name=value>", "header of each request; may be given several times", collect)
    .option("--otlp-metrics-interval <time>", "between two requests with metrics", "60s")
    .option("--otlp-ca-file <file>", "authority that the collector's certificate comes from")
    .option("--otlp-cert-file <file>", "certificate of this client")
    .option("--otlp-key-file <file>", "key of this client")
    .option("--ui-addr <address>", "serve the page there: 127.0.0.1:12000; loopback only, to read")
    .addOption(new Option("--log-format <format>", "default text on a terminal, else json").choices(["text", "json"]))
    .action((dir: string, options: Omit<UpOptions, "directory">) =>
      finish(async () => (await import("../commands/up.ts")).up({ ...options, directory: dir })),
    );
  tableOptions(up);
  examples(up, [
    "skep up /etc/skep",
    "skep up ./policies --run /tmp/skep/run --state /tmp/skep/state --pins /sys/fs/bpf/skep-test --cgroup skep-test",
  ]);
}

export function defineDown(program: Command, finish: Finish): void {
  const down = placeOptions(program.command("down"))
    .summary("take the datapath and everything owned away")
    .description(
      "Ends the agent where one runs, then its workloads, and removes the datapath: programs, maps, interfaces, namespaces and\n" +
        "state. Where the agent was started with options of its own they are taken from its run folder.",
    )
    .action((options: DownOptions, command: Command) =>
      finish(async () => {
        const given = (name: string): boolean => command.getOptionValueSource(name) !== "default";
        return (await import("../commands/down.ts")).down(options, given);
      }),
    );
  examples(down, ["skep down", "skep down --run /tmp/skep/run"]);
}

export function defineRun(program: Command, finish: Finish): void {
  const run = agentOption(program.command("run"))
    .summary("run a command as a workload")
    .description(
      "Runs a command in a network namespace of its own, with an address and an identity. Its policy is in force before its\n" +
        "first packet. Input and output are this terminal's, the exit status is the command's, signals are passed on, and the\n" +
        "workload is removed at the end.",
    )
    .requiredOption("--name <name>", "name of the workload")
    .option("-n, --namespace <namespace>", "namespace of the workload", "default")
    .option("-l, --label <key=value>", "label of the workload; may be given several times", collect)
    .option(
      "-p, --port <name=number[/protocol]>",
      "port that policies and services may name; may be given several times",
      collect,
    )
    .option("--annotation <key=value>", "as kubernetes.io/egress-bandwidth=10M; may be given several times", collect)
    .argument("<command...>", "the command and its arguments")
    .passThroughOptions()
    .action((command: string[], options: Omit<RunOptions, "command">) =>
      finish(async () => (await import("../commands/run.ts")).run({ ...options, command })),
    );
  examples(run, [
    "skep run --name web --label app=web --port http=80 -- python3 -m http.server 80",
    "skep run --name probe --label app=client -- curl -sm 2 http://10.96.0.10/",
  ]);
}

export function defineDemo(program: Command, finish: Finish): void {
  const demo = program
    .command("demo")
    .summary("play the Star Wars example")
    .description(
      "Starts an agent and four workloads, lets only the empire land, and stays up with a page to look at it. Where BPF cannot be had it plays on\n" +
        "the simulated machine: the same programs in user space, without root.",
    )
    .option("--once", "check every verdict, print a table and end")
    .option("--sim", "on the simulated machine; --no-sim: on real packets or not at all")
    .addOption(new Option("--no-sim").hideHelp())
    .option("--seed <number>", "of the simulated machine: one seed, one play", wholeNumber)
    .option("--patience <number>", "times longer than usual that everything may take: for a busy machine", wholeNumber)
    .option(
      "--ui-addr <address>",
      "loopback address of the page; default 127.0.0.1:12000, or any port where it is taken",
    )
    .addOption(new Option("--run <dir>", "run folder of the example's agent").env("SKEP_RUN").default(DEFAULT_RUN))
    .action((options: DemoFlags) => finish(async () => (await import("../commands/demo.ts")).playDemo(options)));
  examples(demo, ["skep demo", "skep demo --once --run /run/skep-example", "skep demo --once --sim"]);
}
