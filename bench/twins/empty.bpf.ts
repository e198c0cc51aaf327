// What a test run costs by itself.
import { tc, TC } from "@skep/bpf";

export const empty = tc("empty", () => TC.OK);
