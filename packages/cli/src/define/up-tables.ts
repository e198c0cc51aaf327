import type { Command } from "commander";
import { wholeNumber } from "./common.ts";

/** How long flows are remembered, and how much of them: Cilium's names. */
export function tableOptions(up: Command): Command {
  return up
    .option(
      "--bpf-ct-timeout-regular-tcp <time>",
      "an open TCP connection is remembered after its last packet",
      "2h13m20s",
    )
    .option("--bpf-ct-timeout-regular-any <time>", "so is a flow of another protocol", "60s")
    .option("--bpf-ct-timeout-regular-tcp-syn <time>", "a TCP connection that nobody has answered", "60s")
    .option("--bpf-ct-timeout-regular-tcp-fin <time>", "one that both have closed", "10s")
    .option("--bpf-ct-timeout-service-tcp <time>", "an open TCP connection to a service, for its backend", "2h13m20s")
    .option("--bpf-ct-timeout-service-any <time>", "so a flow of another protocol", "60s")
    .option("--bpf-ct-timeout-service-tcp-grace <time>", "a connection to a service that its client has closed", "60s")
    .option("--conntrack-gc-interval <time>", "between two looks for what is over; 0s: as often as it is worth", "0s")
    .option("--bpf-ct-global-max <entries>", "connections: one table for all protocols; default 262144", wholeNumber)
    .option("--bpf-nat-global-max <entries>", "translations of addresses and ports; default 524288", wholeNumber)
    .option(
      "--bpf-sock-rev-map-max <entries>",
      "datagram sockets that asked for a service; default 262144",
      wholeNumber,
    )
    .option("--bpf-policy-map-max <entries>", "entries of each workload's policy; default 16384", wholeNumber)
    .option("--bpf-fragments-map-max <entries>", "fragmented packets that are under way; default 8192", wholeNumber)
    .option("--bpf-lb-map-max <entries>", "of each of the next three; default 65536", wholeNumber)
    .option("--bpf-lb-service-map-max <entries>", "frontends of services with their slots of backends", wholeNumber)
    .option("--bpf-lb-affinity-map-max <entries>", "clients that keep a backend", wholeNumber)
    .option("--bpf-lb-source-range-map-max <entries>", "prefixes that may use a service", wholeNumber)
    .option(
      "--bpf-map-dynamic-size-ratio <share>",
      "share of the memory for connections, translations and sockets together, as 0.0025: what is not said of their sizes follows from it",
    );
}
