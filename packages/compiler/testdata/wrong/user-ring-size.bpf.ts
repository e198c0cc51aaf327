import { tc, userRing } from "@skep/bpf";
export const commands = userRing("commands", { bytes: 3000 });
export const main = tc("main", () => 0);
