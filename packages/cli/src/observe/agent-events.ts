import { flow, observer } from "@skep/api";
import { escapeTerminal, formatTime, jsonLine, type OutputFormat, type TimeFormat } from "@skep/flows";

interface EventOptions {
  readonly output: OutputFormat;
  readonly timeFormat: TimeFormat;
  readonly printNodeName?: boolean;
}

/** What happened, in a few words. */
function details(event: flow.AgentEvent): string {
  const { notification } = event;
  switch (notification.case) {
    case "agentStart":
      return notification.value.time ? `start time: ${formatTime(notification.value.time, "RFC3339Milli")}` : "";
    case "policyUpdate": {
      const { labels, revision, ruleCount } = notification.value;
      return `labels: ${labels.join(",")}, revision: ${revision}, count: ${ruleCount}`;
    }
    case "endpointRegenerate": {
      const { id, labels, error } = notification.value;
      return `id: ${id}, labels: ${labels.join(",")}${error === "" ? "" : `, error: ${error}`}`;
    }
    case "endpointUpdate": {
      const { id, namespace, podName } = notification.value;
      return `id: ${id}, namespace: ${namespace}, pod name: ${podName}`;
    }
    case "ipcacheUpdate": {
      const { cidr, identity, oldIdentity } = notification.value;
      return `cidr: ${cidr}, identity: ${identity}${oldIdentity === undefined ? "" : `, old identity: ${oldIdentity}`}`;
    }
    case "serviceUpsert":
      return `id: ${notification.value.id}, ${notification.value.namespace}/${notification.value.name}`;
    case "serviceDelete":
      return `id: ${notification.value.id}`;
    case "unknown":
      return `type: ${notification.value.type}, notification: ${notification.value.notification}`;
    default:
      return "";
  }
}

/** One event in the format asked for, with its line end. */
export function agentEventText(response: observer.GetAgentEventsResponse, options: EventOptions): string {
  if (options.output === "json" || options.output === "jsonpb") {
    return `${jsonLine(observer.GetAgentEventsResponseSchema, response)}\n`;
  }
  const event = response.agentEvent;
  if (!event) return "";
  const time = formatTime(response.time, options.timeFormat);
  const node = options.printNodeName === true ? ` [${escapeTerminal(response.nodeName)}]` : "";
  const type = flow.AgentEventTypeSchema.values.find((value) => value.number === event.type)?.name ?? `${event.type}`;
  if (options.output === "dict") {
    return `  TIMESTAMP: ${time}\n${node === "" ? "" : `       NODE: ${escapeTerminal(response.nodeName)}\n`}       TYPE: ${type}\n    DETAILS: ${escapeTerminal(details(event))}\n------------\n`;
  }
  return `${time}${node}: ${type} (${escapeTerminal(details(event))})\n`;
}
