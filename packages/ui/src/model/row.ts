/**
 * @module
 * A flow as the page holds it: the message, and what every view asks of it.
 */
import { flow } from "@skep/api";
import { humanName } from "./text.ts";

export interface Row {
  /** Counts up as rows come in; what the browser tells rows apart by. */
  readonly id: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly flow: flow.Flow;
}

export function rowOf(id: number, message: flow.Flow): Row {
  const { time } = message;
  return { id, time: time ? Number(time.seconds) * 1000 + time.nanos / 1_000_000 : 0, flow: message };
}

export type Outcome = "forwarded" | "dropped" | "audited" | "other";

export function outcomeOf({ verdict }: flow.Flow): Outcome {
  switch (verdict) {
    case flow.Verdict.FORWARDED:
    case flow.Verdict.REDIRECTED:
      return "forwarded";
    case flow.Verdict.DROPPED:
    case flow.Verdict.ERROR:
      return "dropped";
    case flow.Verdict.AUDIT:
      return "audited";
    default:
      return "other";
  }
}

export function verdictName({ verdict }: flow.Flow): string {
  return flow.VerdictSchema.value[verdict]?.name ?? String(verdict);
}

export interface Transport {
  /** `TCP`, `UDP`, `SCTP`, `ICMPv4`, `ICMPv6` ...; empty where there is none. */
  readonly name: string;
  readonly sourcePort: number;
  /** ICMP: the type. */
  readonly destinationPort: number;
}

export function transportOf({ l4 }: flow.Flow): Transport {
  const protocol = l4?.protocol;
  switch (protocol?.case) {
    case "TCP":
    case "UDP":
    case "SCTP":
      return {
        name: protocol.case,
        sourcePort: protocol.value.sourcePort,
        destinationPort: protocol.value.destinationPort,
      };
    case "ICMPv4":
    case "ICMPv6":
      return { name: protocol.case, sourcePort: 0, destinationPort: protocol.value.type };
    default:
      return { name: protocol?.case ?? "", sourcePort: 0, destinationPort: 0 };
  }
}

/** What was spoken above the transport; empty where it was not looked at. */
export function layer7Name({ l7 }: flow.Flow): string {
  const name = l7?.record.case ?? "";
  return name === "" ? "" : name.toUpperCase();
}

/** An answer of the server that says that it failed. */
export function isServerError({ l7 }: flow.Flow): boolean {
  if (l7?.record.case === "http") return l7.record.value.code >= 500;
  return l7?.record.case === "dns" && l7.type === flow.L7FlowType.RESPONSE && l7.record.value.rcode !== 0;
}

/** `SYN, ACK`. */
export function flagsOf({ l4 }: flow.Flow): string {
  if (l4?.protocol.case !== "TCP") return "";
  const { flags } = l4.protocol.value;
  if (!flags) return "";
  return (["SYN", "FIN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "NS"] as const)
    .filter((name) => flags[name])
    .join(", ");
}

export function isReply(message: flow.Flow): boolean {
  return message.isReply === true;
}

/** `Policy denied`; empty where nothing was dropped. */
export function dropText({ dropReasonDesc, dropReason }: flow.Flow): string {
  if (dropReason === 0 && dropReasonDesc === 0) return "";
  const name = flow.DropReasonSchema.value[dropReasonDesc]?.name;
  return name === undefined || dropReasonDesc === 0 ? `Reason ${dropReason}` : humanName(name);
}

export interface NamedPolicy {
  readonly direction: "ingress" | "egress";
  readonly verdict: "allowed" | "denied";
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/** The policies that the flow names. */
export function policiesOf(message: flow.Flow): NamedPolicy[] {
  const take = (
    policies: readonly flow.Policy[],
    direction: NamedPolicy["direction"],
    verdict: NamedPolicy["verdict"],
  ): NamedPolicy[] => policies.map(({ kind, namespace, name }) => ({ direction, verdict, kind, namespace, name }));
  return [
    ...take(message.egressDeniedBy, "egress", "denied"),
    ...take(message.ingressDeniedBy, "ingress", "denied"),
    ...take(message.egressAllowedBy, "egress", "allowed"),
    ...take(message.ingressAllowedBy, "ingress", "allowed"),
  ];
}

/** `default/rule1`, or the bare name of what belongs to the whole cluster. */
export function policyName({ namespace, name }: Pick<NamedPolicy, "namespace" | "name">): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}
