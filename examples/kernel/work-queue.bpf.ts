// A queue between programs: one side puts work in, the other takes it out; a Bloom filter knows what was there before.
import { bloomFilter, queue, stack, struct, tc, u32 } from "@skep/bpf";

export const jobs = queue("jobs", { value: u32, maxEntries: 8 });
export const undo = stack("undo", { value: u32, maxEntries: 8 });
export const known = bloomFilter("known", { value: u32, maxEntries: 128 });
const Job = struct("Job", { number: u32 });

/** The job's number stands in the packet. 1 where it was there before, 2 where there is no room. */
export const put = tc("put", (ctx) => {
  const wanted = ctx.header(Job, 14);
  if (!wanted) return 3;
  const job: u32 = wanted.number;
  if (known.has(job)) return 1;
  if (jobs.push(job) !== 0n) return 2;
  known.add(job);
  undo.push(job);
  return 0;
});

/** The oldest job (0 where there is none) and the newest that was ever put: a thousand times the second, and the first. */
export const take = tc("take", () => {
  const job = jobs.pop() ?? 0;
  const last = undo.peek() ?? 0;
  return last * 1000 + job;
});
