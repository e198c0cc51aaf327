/**
 * @module
 * `skep config` and `skep endpoint audit`: how policies are enforced.
 */
import type { skep } from "@skep/api";
import { withClient } from "../client.ts";
import { usageError } from "../errors.ts";
import { type ListFormat, note, printAs } from "../output/print.ts";
import { formatPairs } from "../output/table.ts";

const ENFORCEMENTS = ["default", "always", "never"];

/** Names as users write them: stable, for scripts. */
function settingsValue(settings: skep.Settings | undefined): Record<string, unknown> {
  return {
    policy_enforcement: settings?.enforcement ?? "",
    audit_namespaces: [...(settings?.auditNamespaces ?? [])],
  };
}

export function configGet({ run, output }: { readonly run: string; readonly output: ListFormat }): Promise<void> {
  return withClient(run, async ({ agent }) => {
    const { settings, hostFirewall, nodeLabels } = await agent.getSettings({});
    const value = { ...settingsValue(settings), host_firewall: hostFirewall, node_labels: { ...nodeLabels } };
    await printAs(output, value, () =>
      formatPairs([
        ["policy-enforcement", settings?.enforcement ?? ""],
        ["audit-namespaces", settings?.auditNamespaces.join(",") || "none"],
        ["host-firewall", hostFirewall ? "on" : "off"],
        [
          "node-labels",
          Object.entries(nodeLabels)
            .map(([key, text]) => `${key}=${text}`)
            .join(",") || "none",
        ],
      ]),
    );
  });
}

interface Change {
  enforcement?: string;
  auditNamespaces?: { names: string[] };
}

/** Throws a usage error that names the setting. */
function parseChanges(texts: readonly string[]): Change {
  const change: Change = {};
  for (const text of texts) {
    const [, name = "", value = ""] = /^([^=]+)=(.*)$/.exec(text) ?? [];
    if (name === "policy-enforcement") {
      if (!ENFORCEMENTS.includes(value)) throw usageError(`"${value}" is no enforcement: ${ENFORCEMENTS.join(", ")}`);
      change.enforcement = value;
    } else if (name === "audit-namespaces") {
      change.auditNamespaces = { names: value.split(",").filter((each) => each !== "") };
    } else throw usageError(`"${text}" is no setting: policy-enforcement=MODE or audit-namespaces=A,B`);
  }
  return change;
}

export function configSet({
  run,
  changes,
}: {
  readonly run: string;
  readonly changes: readonly string[];
}): Promise<void> {
  const change = parseChanges(changes);
  return withClient(run, async ({ agent }) => {
    await agent.setSettings(change);
    note("in force");
  });
}

export function endpointAudit(options: {
  readonly run: string;
  readonly endpoint: string;
  readonly audit: boolean;
}): Promise<void> {
  return withClient(options.run, async ({ agent }) => {
    const { endpoint } = await agent.setAudit({ endpoint: options.endpoint, audit: options.audit });
    note(`${endpoint?.namespace ?? ""}/${endpoint?.name ?? ""}: audit ${options.audit ? "on" : "off"}, in force`);
  });
}
