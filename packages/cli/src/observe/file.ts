import { create, createRegistry, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";
import { createReadStream } from "node:fs";
import readline from "node:readline";
import { flow, observer } from "@skep/api";
import { FilterError, Observer, recordOfFlow } from "@skep/flows";
import { CliError, systemCode, usageError } from "../errors.ts";

const registry = createRegistry(file_google_protobuf_wrappers);

/** A line of `observe -o json`, of an exporter, or a bare flow. Null for an event that is no flow. */
function parseLine(line: string, where: string): flow.Flow | null {
  try {
    const value = JSON.parse(line) as Readonly<Record<string, JsonValue>>;
    const bare = !["flow", "node_status", "nodeStatus", "lost_events", "lostEvents", "agent_event", "debug_event"].some(
      (name) => name in value,
    );
    if (bare) return fromJson(flow.FlowSchema, value, { ignoreUnknownFields: true, registry });
    const event = fromJson(observer.ExportEventSchema, value, { ignoreUnknownFields: true, registry });
    if (event.responseTypes.case !== "flow") return null;
    const { value: message } = event.responseTypes;
    return message.nodeName === "" ? create(flow.FlowSchema, { ...message, nodeName: event.nodeName }) : message;
  } catch (cause) {
    throw new CliError(`${where} is not a flow in JSON: ${cause instanceof Error ? cause.message : String(cause)}`, 1, {
      cause,
    });
  }
}

/** Throws CliError, which names the line that is no flow. */
export async function readFlows(file: string): Promise<flow.Flow[]> {
  const input = file === "-" ? process.stdin : createReadStream(file);
  const flows: flow.Flow[] = [];
  let number = 0;
  try {
    for await (const line of readline.createInterface({ input, crlfDelay: Infinity })) {
      number += 1;
      const parsed = line.trim() === "" ? null : parseLine(line, `${file === "-" ? "stdin" : file}:${number}`);
      if (parsed) flows.push(parsed);
    }
  } catch (error) {
    const code = systemCode(error);
    if (code === null) throw error;
    throw new CliError(`${file} cannot be read: ${code}`, 1, { cause: error });
  }
  return flows;
}

/** Flows of a file that the request wants. The order is the file's. */
export async function* flowsOfFile(
  file: string,
  request: observer.GetFlowsRequest,
): AsyncGenerator<observer.GetFlowsResponse, void, undefined> {
  const flows = await readFlows(file);
  if (flows.length === 0) return;
  const source = new Observer({ nodeName: "", version: "", now: () => 0n, capacity: flows.length });
  for (const message of flows) source.add(recordOfFlow(message));
  try {
    yield* source.getFlows(request, new AbortController().signal);
  } catch (error) {
    if (error instanceof FilterError) throw usageError(error.message, { cause: error });
    throw error;
  }
}
