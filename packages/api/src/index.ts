/**
 * @module
 * Messages and services of the agent's API (`skep`) and of Hubble's (`flow`, `observer`, `peer`, `relay`), with gRPC reflection and
 * health. Generated from proto/ by `node packages/api/generate.mjs`.
 */
export * as flow from "./generated/flow/flow_pb.ts";
export * as observer from "./generated/observer/observer_pb.ts";
export * as peer from "./generated/peer/peer_pb.ts";
export * as relay from "./generated/relay/relay_pb.ts";
export * as skep from "./skep.ts";
export * as health from "./generated/grpc/health/v1/health_pb.ts";
export * as reflection from "./generated/grpc/reflection/v1/reflection_pb.ts";
export * as reflectionAlpha from "./generated/grpc/reflection/v1alpha/reflection_pb.ts";
