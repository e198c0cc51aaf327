// The whole datapath as one object: what the agent loads.
export * from "./maps.bpf.ts";
export * from "./gc.bpf.ts";
export * from "./lifetimes.bpf.ts";
export * from "./connection-map.bpf.ts";
export * from "./nat-map.bpf.ts";
export * from "./nat.bpf.ts";
export * from "./endpoint.bpf.ts";
export * from "./host.bpf.ts";
export * from "./bandwidth.bpf.ts";
export * from "./overlay.bpf.ts";
export * from "./socket.bpf.ts";
export * from "./device.bpf.ts";
export * from "./nodeport-tc.bpf.ts";
export * from "./xdp.bpf.ts";
export * from "./flows.bpf.ts";
export * from "./direct.bpf.ts";
export * from "./denied.bpf.ts";
