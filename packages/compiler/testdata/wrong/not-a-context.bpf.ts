import { getSocketCookie, tc, TC } from "@skep/bpf";
export const main = tc("main", () => (getSocketCookie({}) > 0n ? TC.SHOT : TC.OK));
