import { config, u8, xdp } from "@skep/bpf";
export const limit = config("limit", u8, 256);
export const main = xdp("main", () => limit.value);
