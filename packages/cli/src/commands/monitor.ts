/**
 * @module
 * `skep monitor`: the datapath's messages as they come.
 */
import { create } from "@bufbuild/protobuf";
import { flow, observer } from "@skep/api";
import { jsonLine, monitorLine, monitorTypes } from "@skep/flows";
import { type FlowSource, withObserver } from "../client.ts";
import { usageError } from "../errors.ts";
import { agentEventText } from "../observe/agent-events.ts";
import { note, write } from "../output/print.ts";
import { untilInterrupted } from "../output/interrupt.ts";

export interface MonitorCommand extends FlowSource {
  /** Cilium's names of message types; default all. */
  readonly type?: readonly string[];
  /** Numbers of endpoints. */
  readonly from?: readonly number[];
  readonly to?: readonly number[];
  readonly relatedTo?: readonly number[];
  readonly json?: boolean;
  readonly numeric?: boolean;
}

function typesOf(names: readonly string[] | undefined): Set<number> | null {
  if (!names) return null;
  return new Set(
    names.map((name) => {
      const type = monitorTypes[name];
      if (type === undefined)
        throw usageError(`there is no message type "${name}": one of ${Object.keys(monitorTypes).join(", ")}`);
      return type;
    }),
  );
}

/** Whether a flow is one of those that were asked for. */
export function selects(options: MonitorCommand): (message: flow.Flow) => boolean {
  const types = typesOf(options.type);
  const { from, to, relatedTo } = options;
  return ({ eventType, source, destination }) => {
    const [sender, receiver] = [source?.ID ?? 0, destination?.ID ?? 0];
    if (types && !types.has(eventType?.type ?? 0)) return false;
    if (from && !from.includes(sender)) return false;
    if (to && !to.includes(receiver)) return false;
    return !relatedTo || relatedTo.includes(sender) || relatedTo.includes(receiver);
  };
}

async function printFlows(responses: AsyncIterable<observer.GetFlowsResponse>, options: MonitorCommand): Promise<void> {
  const isWanted = selects(options);
  const numeric = options.numeric === true;
  for await (const { responseTypes } of responses) {
    if (responseTypes.case === "lostEvents") note(`${responseTypes.value.numEventsLost} messages were lost`);
    if (responseTypes.case !== "flow" || !isWanted(responseTypes.value)) continue;
    const message = responseTypes.value;
    await write(
      options.json === true ? `${jsonLine(flow.FlowSchema, message)}\n` : `${monitorLine(message, { numeric })}\n`,
    );
  }
}

const hasEndpoints = ({ from, to, relatedTo }: MonitorCommand): boolean => Boolean(from ?? to ?? relatedTo);

export async function monitor(options: MonitorCommand): Promise<void> {
  const types = typesOf(options.type);
  // Messages of the agent belong to no endpoint.
  const withAgent = (!types || types.has(monitorTypes["agent"] ?? 0)) && !hasEndpoints(options);
  const withFlows = !types || [...types].some((type) => type !== monitorTypes["agent"]);
  await withObserver(options, ({ observer: client }) =>
    untilInterrupted(async (signal) => {
      note("listening for messages; Ctrl-C ends it");
      const request = create(observer.GetFlowsRequestSchema, { follow: true });
      const agentEvents = async (): Promise<void> => {
        for await (const event of client.getAgentEvents({ follow: true }, { signal }))
          await write(
            agentEventText(event, { output: options.json === true ? "json" : "compact", timeFormat: "StampMilli" }),
          );
      };
      await Promise.all([
        ...(withFlows ? [printFlows(client.getFlows(request, { signal }), options)] : []),
        ...(withAgent ? [agentEvents()] : []),
      ]);
    }),
  );
}
