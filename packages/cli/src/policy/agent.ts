/**
 * @module
 * What an agent enforces and whom it knows, for the commands that otherwise read files.
 */
import { type PolicyDocument, parseDocuments, type RecordedFlow, parseFlows, type WorkloadSpec } from "@skep/policy";
import { observer } from "@skep/api";
import { jsonLine } from "@skep/flows";
import { type AgentClient, withClient } from "../client.ts";

/** Its policies; positions are those of the files that they stand in. */
export async function agentDocuments({ agent }: AgentClient): Promise<PolicyDocument[]> {
  const { rules, clusterName } = await agent.getPolicy({});
  const options = clusterName === "" ? {} : { localCluster: clusterName };
  return rules.flatMap(({ file, line, text }) => {
    const above = "\n".repeat(Math.max(0, line - 1));
    return parseDocuments(file, above + text, options).documents;
  });
}

export async function agentWorkloads({ agent }: AgentClient): Promise<WorkloadSpec[]> {
  const { endpoints } = await agent.listEndpoints({});
  return endpoints.map(({ namespace, name, labels }) => ({ namespace, name, labels }));
}

/** The flows of its ring. */
export function agentFlows(run: string): Promise<RecordedFlow[]> {
  return withClient(run, async (client) => {
    const lines: string[] = [];
    for await (const response of client.observer.getFlows({})) {
      if (response.responseTypes.case === "flow") lines.push(jsonLine(observer.GetFlowsResponseSchema, response));
    }
    return parseFlows("the agent's ring", lines.join("\n")).flows;
  });
}
