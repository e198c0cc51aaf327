import { skStorage, tc, u64 } from "@skep/bpf";
export const marks = skStorage("marks", { value: u64 });
export const main = tc("main", (ctx) => (marks.get({ a: 1 }, true) === null ? 0 : 1));
