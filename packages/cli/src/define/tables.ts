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

/** Other looks at what services stand in, by Cilium's flags, and the tables that they print. */
const BALANCER_LOOKS = [
  ["revnat", "lb-revnat", "addresses of frontends by their numbers: what answers get as their source"],
  ["frontends", "lb-frontends", "frontends, slot by slot, with the numbers of their backends"],
  ["backends", "lb-backends", "backends by their numbers"],
  ["sourceRanges", "ranges", "source ranges, by the frontend's number"],
] as const;

type Looks = { readonly [L in (typeof BALANCER_LOOKS)[number][0]]?: boolean };

function defineBalancer(bpf: Command, finish: Finish): void {
  const lb = bpf
    .command("lb")
    .summary("services and their backends")
    .description("Frontends, slot by slot, with the backend of each.");
  const list = listed(lb);
  for (const [look, , what] of BALANCER_LOOKS) {
    const others = BALANCER_LOOKS.map(([name]) => name).filter((name) => name !== look);
    list.addOption(new Option(`--${look === "sourceRanges" ? "source-ranges" : look}`, what).conflicts(others));
  }
  examples(
    list.action((options: TableOptions & Looks) => {
      const asked = BALANCER_LOOKS.find(([look]) => options[look] === true);
      return finish(async () => (await tables()).tableList(asked?.[1] ?? "lb", options));
    }),
    ["skep bpf lb list", "skep bpf lb list --backends -o json"],
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
  defineBalancer(bpf, finish);
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
