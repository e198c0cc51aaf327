import { type Command, Option } from "commander";
import { agentOption, examples, type Finish, listOption, wholeNumber } from "./common.ts";
import type * as Tables from "../commands/tables.ts";
import type { TableOptions } from "../commands/tables.ts";

const tables = (): Promise<typeof Tables> => import("../commands/tables.ts");

/** Name in `@skep/datapath`'s tables, and what help says of it: that package is loaded only when one is read. */
const NOUNS = [
  ["ct", "connections", "Connections: the opener is the source."],
  ["endpoint", "local workloads", "Local workloads by interface."],
  ["ipcache", "identities of addresses", "Prefixes and the identity that their addresses have."],
  ["tunnel", "prefixes behind other nodes", "Prefixes and the address that the tunnel to them ends at."],
  ["lb", "services and their backends", "Frontends, slot by slot, with the backend of each."],
  ["nat", "mappings of source NAT", "Mappings of source NAT, both directions."],
  ["egress", "egress gateways", "By which node, and with which address, what workloads send to a prefix leaves."],
  ["bandwidth", "rates of workloads", "Rates of workloads in bits a second, by endpoint and direction."],
  [
    "affinity",
    "clients that keep their backends",
    "Clients of services with affinity, and the number of the backend of each.",
  ],
  ["ranges", "source ranges of services", "Prefixes of loadBalancerSourceRanges, by the frontend's number."],
  ["maglev", "shares of Maglev tables", "How many slots of a frontend's Maglev table each backend has."],
  ["socknat", "sockets that asked for services", "Sockets, the backend of each and the frontend that it asked for."],
  ["ipmasq", "prefixes without masquerading", "Where workloads' packets keep their own addresses."],
  ["frag", "datagrams in fragments", "Ports of datagrams whose first fragments were seen."],
  ["metrics", "packets by verdict", "Packets and bytes, forwarded or dropped, by reason and direction."],
] as const;

function listed(noun: Command): Command {
  return listOption(agentOption(noun.command("list")))
    .addOption(
      new Option("--pins <dir>", "folder of pinned maps, where no agent noted one").default("/sys/fs/bpf/skep"),
    )
    .summary("print it")
    .description("Reads the kernel's maps; no agent needs to run.");
}

function defineFlush(noun: Command, name: "ct" | "nat", finish: Finish): void {
  examples(
    agentOption(noun.command("flush"))
      .addOption(
        new Option("--pins <dir>", "folder of pinned maps, where no agent noted one").default("/sys/fs/bpf/skep"),
      )
      .summary("empty it")
      .description(
        name === "ct"
          ? "Forgets every connection: the next packet of each is judged as if it opened it."
          : "Forgets every mapping: answers to what has left are not given back until the flow sends again.",
      )
      .action((options: Omit<TableOptions, "output">) =>
        finish(async () => (await tables()).tableFlush(name, options)),
      ),
    [`skep bpf ${name} flush`],
  );
}

export function defineTables(program: Command, finish: Finish): void {
  const bpf = program
    .command("bpf")
    .summary("the datapath's maps")
    .description("What the datapath's maps hold, read from the kernel.");
  for (const [name, summary, description] of NOUNS) {
    const noun = bpf.command(name).summary(summary).description(description);
    if (name === "ct" || name === "nat") defineFlush(noun, name, finish);
    examples(
      listed(noun).action((options: TableOptions) => finish(async () => (await tables()).tableList(name, options))),
      [`skep bpf ${name} list`, `skep bpf ${name} list -o json`],
    );
  }
  const policy = bpf
    .command("policy")
    .summary("policy entries")
    .description("Policy entries by endpoint. `skep policy get ENDPOINT` names the rules behind them.");
  examples(
    listed(policy)
      .argument("[endpoint]", "number of an endpoint; default all", wholeNumber)
      .action((endpoint: number | undefined, options: TableOptions) =>
        finish(async () =>
          (await tables()).tableList("policy", { ...options, ...(endpoint === undefined ? {} : { endpoint }) }),
        ),
      ),
    ["skep bpf policy list", "skep bpf policy list 3 -o json"],
  );
}
