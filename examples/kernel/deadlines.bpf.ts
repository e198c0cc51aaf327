// What is due next: jobs in a red-black tree by their deadline, of which the earliest is taken out. No map would keep them in order.
import {
  array,
  global,
  objDrop,
  objNew,
  RbNode,
  rbRoot,
  rbtreeAdd,
  rbtreeFirst,
  rbtreeRemove,
  SpinLock,
  spinLock,
  spinUnlock,
  struct,
  syscall,
  u32,
  u64,
} from "@skep/bpf";

export const license = "GPL";
const Job = struct("Job", { deadline: u64, number: u32, node: RbNode });
const Schedule = struct("Schedule", { lock: SpinLock, jobs: rbRoot(Job, "node"), waiting: u32 });
export const schedules = array("schedules", { value: Schedule, maxEntries: 1 });
export const late = global("late", u64);
export const Request = struct("Request", { deadline: u64, number: u32, waiting: u32 });

/** 0; 1 where there is no memory. */
export const put = syscall("put", Request, (request) => {
  const schedule = schedules.get(0);
  const job = objNew(Job);
  if (!schedule || !job) {
    if (job) objDrop(job);
    return 1;
  }
  job.deadline = request.deadline;
  job.number = request.number;
  spinLock(schedule.lock);
  try {
    rbtreeAdd(schedule.jobs, job, (a, b) => a.deadline < b.deadline);
    schedule.waiting += 1;
    request.waiting = schedule.waiting;
  } finally {
    spinUnlock(schedule.lock);
  }
  return 0;
});

/** The job of the earliest deadline that is not after the request's; 2 where there is none. */
export const take = syscall("take", Request, (request) => {
  const schedule = schedules.get(0);
  if (!schedule) return 1;
  const now: u64 = request.deadline;
  spinLock(schedule.lock);
  const first = rbtreeFirst(schedule.jobs);
  if (!first || first.deadline > now) {
    spinUnlock(schedule.lock);
    return 2;
  }
  const job = rbtreeRemove(schedule.jobs, first);
  schedule.waiting -= 1;
  request.waiting = schedule.waiting;
  spinUnlock(schedule.lock);
  if (!job) return 2;
  request.number = job.number;
  request.deadline = job.deadline;
  if (job.deadline < now) late.value += 1n;
  objDrop(job);
  return 0;
});
