import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { flow } from "@skep/api";
import { type Row, rowOf } from "../src/model/row.ts";

export interface Given {
  readonly from?: string;
  readonly to?: string;
  readonly port?: number;
  /** Milliseconds since 1970. */
  readonly time?: number;
  readonly dropped?: boolean;
  readonly reply?: boolean;
  readonly more?: MessageInitShape<typeof flow.FlowSchema>;
}

let next = 0;

const END_LABELS = (app: string): string[] => [`k8s:app=${app}`, "k8s:io.kubernetes.pod.namespace=default"];

/** A workload's name is its app with a number: `web-1`. */
function endpoint(pod: string, id: number): MessageInitShape<typeof flow.EndpointSchema> {
  const app = pod.replace(/-\d+$/, "");
  return { ID: id, identity: 1000 + id, namespace: "default", podName: pod, labels: END_LABELS(app) };
}

/** A flow of TCP, as the datapath reports one: a reply goes the other way. */
export function row(given: Given = {}): Row {
  const { from = "client-1", to = "web-1", port = 80, time = 1_000_000, dropped = false, reply = false, more } = given;
  const [client, server] = [endpoint(from, 1), endpoint(to, 2)];
  const ports = reply ? { sourcePort: port, destinationPort: 40_000 } : { sourcePort: 40_000, destinationPort: port };
  next += 1;
  const message = create(flow.FlowSchema, {
    uuid: `uuid-${next}`,
    time: timestampFromMs(time),
    source: reply ? server : client,
    destination: reply ? client : server,
    IP: { source: reply ? "10.0.0.2" : "10.0.0.1", destination: reply ? "10.0.0.1" : "10.0.0.2" },
    l4: { protocol: { case: "TCP", value: { ...ports, flags: { SYN: true } } } },
    verdict: dropped ? flow.Verdict.DROPPED : flow.Verdict.FORWARDED,
    isReply: reply,
    ...(dropped
      ? {
          dropReason: 133,
          dropReasonDesc: flow.DropReason.POLICY_DENIED,
          ingressDeniedBy: [{ kind: "CiliumNetworkPolicy", namespace: "default", name: "rule1" }],
        }
      : {}),
    ...more,
  } as MessageInitShape<typeof flow.FlowSchema>);
  return rowOf(next, message);
}
