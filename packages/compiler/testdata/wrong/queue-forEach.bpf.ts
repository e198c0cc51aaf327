import { queue, tc, u32 } from "@skep/bpf";
export const jobs = queue("jobs", { value: u32, maxEntries: 8 });
export const main = tc("main", () => {
  (jobs as never as { forEach(run: () => void): void }).forEach(() => {});
  return 0;
});
