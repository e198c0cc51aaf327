import { Argument, type Command } from "commander";
import {
  type AgentOption,
  agentOption,
  examples,
  type Finish,
  listOption,
  serverOptions,
  wholeNumber,
} from "./common.ts";
import type { ListOptions as FlowListOptions } from "../commands/list.ts";
import type { FqdnListOptions } from "../commands/fqdn.ts";
import type * as Settings from "../commands/settings.ts";
import type * as State from "../commands/state.ts";
import type { ListOptions, PolicyGetOptions, PolicyWaitOptions } from "../commands/state.ts";

const state = (): Promise<typeof State> => import("../commands/state.ts");
const settings = (): Promise<typeof Settings> => import("../commands/settings.ts");

function listed(command: Command): Command {
  return listOption(agentOption(command));
}

export function defineStatus(program: Command, finish: Finish): void {
  const status = listed(program.command("status"))
    .summary("show what the agent does")
    .description("Shows the agent, what it enforces, its endpoints and what was refused.")
    .action((options: ListOptions) => finish(async () => (await state()).status(options)));
  examples(status, ["skep status", "skep status -o json"]);
}

function defineNodes(program: Command, finish: Finish): void {
  const node = program.command("node").summary("nodes").description("This node and the others of its cluster.");
  const commands = () => import("../commands/node.ts");
  examples(
    listed(node.command("list"))
      .summary("list nodes")
      .description("Lists nodes with their addresses, prefixes and tunnels, and whether the routes to them stand.")
      .action((options: ListOptions) => finish(async () => (await commands()).nodeList(options))),
    ["skep node list", "skep node list -o json"],
  );
  examples(
    listed(node.command("get").argument("<name>", "name of a node"))
      .summary("show one node")
      .description("Shows one node.")
      .action((name: string, options: ListOptions) => finish(async () => (await commands()).nodeGet(name, options))),
    ["skep node get worker-2"],
  );
}

export function defineLists(program: Command, finish: Finish): void {
  defineNodes(program, finish);
  const endpoint = program.command("endpoint").summary("workloads").description("Workloads on this node.");
  examples(
    listed(endpoint.command("list"))
      .summary("list workloads")
      .description("Lists workloads with identity, address, enforcement and state.")
      .action((options: ListOptions) => finish(async () => (await state()).endpointList(options))),
    ["skep endpoint list", "skep endpoint list -o json"],
  );

  examples(
    agentOption(endpoint.command("audit"))
      .summary("audit a workload")
      .description(
        "While audit is on nothing is denied at the workload; what would be is a flow with the verdict AUDIT. Kept over restarts.",
      )
      .argument("<endpoint>", "`namespace/name`, `name` (in default) or the number")
      .addArgument(new Argument("<state>", "whether it is audited").choices(["on", "off"]))
      .action((name: string, state: "on" | "off", options: AgentOption) =>
        finish(async () => (await settings()).endpointAudit({ ...options, endpoint: name, audit: state === "on" })),
      ),
    ["skep endpoint audit web on", "skep endpoint audit default/web off"],
  );

  const identity = program.command("identity").summary("security identities").description("Security identities.");
  examples(
    listed(identity.command("list"))
      .summary("list identities")
      .description("Lists numeric identities with their labels.")
      .action((options: ListOptions) => finish(async () => (await state()).identityList(options))),
    ["skep identity list"],
  );

  const service = program.command("service").summary("services").description("Services and their backends.");
  examples(
    listed(service.command("list"))
      .summary("list services")
      .description("Lists the addresses that services are reached at, and the backends behind each.")
      .action((options: ListOptions) =>
        finish(async () => (await import("../commands/service.ts")).serviceList(options)),
      ),
    ["skep service list", "skep service list -o yaml"],
  );
  examples(
    listed(service.command("pools"))
      .summary("list pools of addresses")
      .description(
        "Lists the pools that services of type LoadBalancer have their addresses of, and what is left in them.",
      )
      .action((options: ListOptions) =>
        finish(async () => (await import("../commands/service.ts")).servicePools(options)),
      ),
    ["skep service pools"],
  );
  examples(
    listed(service.command("get"))
      .summary("show one service")
      .description("Shows a service's addresses with what holds for each, and the workloads behind them.")
      .argument("<service>", "`namespace/name`, `name` (in default) or the number of a frontend")
      .action((name: string, options: ListOptions) =>
        finish(async () => (await import("../commands/service.ts")).serviceGet({ ...options, service: name })),
      ),
    ["skep service get deathstar", "skep service get 3 -o json"],
  );
  examples(
    agentOption(service.command("backend"))
      .summary("take a backend out, or back in")
      .description(
        "Gives a backend a state, for all services that it serves. One that is quarantined or in maintenance gets no new connections, and keeps those that it has. Kept over restarts, until the backend is gone.",
      )
      .argument("<backend>", "`ADDRESS:PORT`, or `ADDRESS:PORT/UDP`: of TCP if not said")
      .addArgument(new Argument("<state>").choices(["active", "quarantined", "maintenance"]))
      .action((backend: string, state: string, options: AgentOption) =>
        finish(async () => (await import("../commands/service.ts")).serviceBackend({ ...options, backend, state })),
      ),
    ["skep service backend 10.244.0.2:8080 quarantined", "skep service backend [fd00::2]:53/UDP active"],
  );
}

export function defineFqdn(program: Command, finish: Finish): void {
  const fqdn = program.command("fqdn").summary("DNS names").description("DNS names that workloads have resolved.");
  const cache = fqdn.command("cache").summary("names and addresses").description("Names and their addresses.");
  examples(
    listed(cache.command("list"))
      .summary("list names")
      .description("Lists the names that workloads have resolved, with their addresses and until when they are kept.")
      .option("-e, --endpoint <id>", "of this endpoint alone, by number", wholeNumber)
      .option("-p, --matchpattern <pattern>", "names like this: * is any part of a label, **. any labels in front")
      .action((options: FqdnListOptions) =>
        finish(async () => (await import("../commands/fqdn.ts")).fqdnCacheList(options)),
      ),
    ["skep fqdn cache list", "skep fqdn cache list -p '*.example.com' -o json"],
  );
}

export function defineConfig(program: Command, finish: Finish): void {
  const config = program
    .command("config")
    .summary("how policies are enforced")
    .description("How policies are enforced: for all workloads at once, in force at once, kept over restarts.");
  examples(
    listed(config.command("get"))
      .summary("show the settings")
      .description("Shows the settings that are in force.")
      .action((options: ListOptions) => finish(async () => (await settings()).configGet(options))),
    ["skep config get", "skep config get -o json"],
  );
  examples(
    agentOption(config.command("set"))
      .summary("change settings")
      .description(
        "policy-enforcement: default (where a policy selects), always, never.\n" +
          "audit-namespaces: where nothing is denied and what would be is told, separated by commas; empty for none.",
      )
      .argument("<setting=value...>", "the settings to change")
      .action((changes: string[], options: AgentOption) =>
        finish(async () => (await settings()).configSet({ ...options, changes })),
      ),
    ["skep config set policy-enforcement=always", "skep config set audit-namespaces=staging,test"],
  );
}

export function definePolicy(program: Command, finish: Finish): Command {
  const policy = program.command("policy").summary("policies").description("Policies, and what they resolve to.");
  examples(
    listed(policy.command("get"))
      .summary("show policies, or the policy map of an endpoint")
      .description(
        "Without an endpoint: the policies, where they stand and whom they select. With one: every entry of its policy map with\n" +
          "the rules behind it.",
      )
      .argument("[endpoint]", "`namespace/name`, `name` (in default) or the number")
      .option("--text", "print the documents as they stand in the folder")
      .action((endpoint: string | undefined, options: Omit<PolicyGetOptions, "endpoint">) =>
        finish(async () => (await state()).policyGet({ ...options, endpoint: endpoint ?? "" })),
      ),
    ["skep policy get", "skep policy get xwing", "skep policy get default/xwing -o json"],
  );
  examples(
    agentOption(policy.command("wait"))
      .summary("wait until the policy is in force")
      .description("Returns when the policy that the folder holds now is in force on every endpoint.")
      .option("--revision <number>", "wait for this revision", wholeNumber)
      .option("--timeout <duration>", "give up after", "10s")
      .action((options: PolicyWaitOptions) => finish(async () => (await state()).policyWait(options))),
    ["cp policy.yaml /etc/skep/ && skep policy wait --timeout 2s"],
  );
  return policy;
}

export function defineListOf(program: Command, finish: Finish): void {
  const list = program
    .command("list")
    .summary("nodes and namespaces with flows")
    .description("Nodes, and the namespaces that flows of the last hour were seen in.");
  examples(
    serverOptions(listed(list.command("nodes")))
      .summary("list nodes")
      .description("Lists nodes with how full their rings of flows are.")
      .action((options: FlowListOptions) =>
        finish(async () => (await import("../commands/list.ts")).listNodes(options)),
      ),
    ["skep list nodes"],
  );
  examples(
    serverOptions(listed(list.command("namespaces")))
      .summary("list namespaces")
      .description("Lists the namespaces that flows of the last hour were seen in.")
      .action((options: FlowListOptions) =>
        finish(async () => (await import("../commands/list.ts")).listNamespaces(options)),
      ),
    ["skep list namespaces -o json"],
  );
}
