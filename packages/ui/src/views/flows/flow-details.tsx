import type { ReactNode } from "react";
import type { flow } from "@skep/api";
import { type Chip } from "../../model/chips.ts";
import { endTitle, sideOf } from "../../model/ends.ts";
import {
  dropText,
  flagsOf,
  isReply,
  layer7Name,
  type NamedPolicy,
  policiesOf,
  policyName,
  type Row,
  transportOf,
} from "../../model/row.ts";
import { formatMoment } from "../../model/text.ts";
import { Drawer, Facts } from "../../parts/drawer.tsx";
import { Verdict } from "../../parts/verdict.tsx";

interface FlowDetailsProps {
  readonly row: Row;
  readonly onClose: () => void;
  readonly onFilter: (chip: Chip) => void;
  readonly onPolicy: (policy: NamedPolicy) => void;
  /** What the policies in force say of it. */
  readonly why: ReactNode;
}

export function FlowDetails({ row, onClose, onFilter, onPolicy, why }: FlowDetailsProps): ReactNode {
  const message = row.flow;
  const [from, to] = [endTitle(sideOf(message, "source")), endTitle(sideOf(message, "destination"))];
  const transport = transportOf(message);
  return (
    <Drawer
      label={`Flow from ${from.title} to ${to.title}`}
      onClose={onClose}
      title={
        <>
          {from.title} <span className="quiet">→</span> {to.title}
        </>
      }
    >
      <p className="drawer-lead">
        <Verdict message={message} /> {dropText(message)}
      </p>
      <PolicyNames policies={policiesOf(message)} onPolicy={onPolicy} />
      {why}
      <Facts
        facts={[
          ["Time", `${formatMoment(row.time)}.${String(Math.floor(row.time % 1000)).padStart(3, "0")}`],
          ["Protocol", [transport.name, flagsOf(message)].filter((text) => text !== "").join(" · ")],
          ["Above it", message.l7 ? `${layer7Name(message)} ${message.Summary}` : ""],
          ["Direction", `${directionName(message)}${isReply(message) ? ", a reply" : ""}`],
          ["Node", message.nodeName],
          ["Interface", message.interface?.name ?? ""],
          ["Service", message.destinationService?.name ?? message.sourceService?.name ?? ""],
        ]}
      />
      <EndFacts message={message} side="source" onFilter={onFilter} />
      <EndFacts message={message} side="destination" onFilter={onFilter} />
      <Facts facts={[["uuid", <code key="uuid">{message.uuid}</code>]]} />
    </Drawer>
  );
}

function directionName({ trafficDirection }: flow.Flow): string {
  return ["unknown", "ingress", "egress"][trafficDirection] ?? "unknown";
}

export function PolicyNames({
  policies,
  onPolicy,
}: {
  readonly policies: readonly NamedPolicy[];
  readonly onPolicy: (policy: NamedPolicy) => void;
}): ReactNode {
  if (policies.length === 0) return null;
  return (
    <ul className="policy-names">
      {policies.map((policy) => (
        <li key={`${policy.verdict} ${policy.direction} ${policy.kind} ${policyName(policy)}`}>
          <span className={`verdict ${policy.verdict === "denied" ? "dropped" : "forwarded"}`}>
            {policy.direction} {policy.verdict} by
          </span>{" "}
          <button type="button" className="link" onClick={() => onPolicy(policy)}>
            {policyName(policy)}
          </button>
          <span className="quiet"> {policy.kind}</span>
        </li>
      ))}
    </ul>
  );
}

interface EndFactsProps {
  readonly message: flow.Flow;
  readonly side: "source" | "destination";
  readonly onFilter: (chip: Chip) => void;
}

function EndFacts({ message, side, onFilter }: EndFactsProps): ReactNode {
  const { endpoint, address, names } = sideOf(message, side);
  const { sourcePort, destinationPort } = transportOf(message);
  const port = side === "source" ? sourcePort : destinationPort;
  const prefix = side === "source" ? "from" : "to";
  const filter = (field: string, value: string, text = value): ReactNode => (
    <button
      type="button"
      className="link"
      title={`Only flows with ${prefix}-${field} ${value}`}
      onClick={() => onFilter({ field: `${prefix}-${field}`, value, not: false })}
    >
      {text}
    </button>
  );
  const pod = endpoint?.podName ?? "";
  return (
    <section className="drawer-part">
      <h3>{side === "source" ? "Source" : "Destination"}</h3>
      <Facts
        facts={[
          ["Workload", pod === "" ? "" : filter("pod", `${endpoint?.namespace ?? ""}/${pod}`)],
          ["Names", names.join(", ")],
          ["Address", address === "" ? "" : filter("ip", address)],
          ["Port", port === 0 ? "" : filter("port", String(port))],
          ["Identity", endpoint && endpoint.identity !== 0 ? filter("identity", String(endpoint.identity)) : ""],
          ["Labels", endpoint && endpoint.labels.length > 0 ? <Labels labels={endpoint.labels} /> : ""],
        ]}
      />
    </section>
  );
}

/** Those that people gave first; the rest quiet. */
export function Labels({ labels }: { readonly labels: readonly string[] }): ReactNode {
  const isOwn = (label: string): boolean => !/^k8s:io\.(cilium|kubernetes)\./.test(label);
  return (
    <span className="labels">
      {[...labels.filter(isOwn), ...labels.filter((label) => !isOwn(label))].map((label) => (
        <span key={label} className={isOwn(label) ? "label" : "label quiet"}>
          {label.replace(/^k8s:/, "")}
        </span>
      ))}
    </span>
  );
}
