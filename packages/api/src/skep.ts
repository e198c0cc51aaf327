export * from "./generated/skep/v1/agent_pb.ts";
export * from "./generated/skep/v1/flows_pb.ts";
