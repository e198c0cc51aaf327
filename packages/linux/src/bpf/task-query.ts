import { fromCString } from "../sys/index.ts";
import { Attributes, bpfChecked } from "./attributes.ts";
import { needCapabilities } from "./capabilities.ts";

// enum bpf_task_fd_type.
const kinds = ["raw_tracepoint", "tracepoint", "kprobe", "kretprobe", "uprobe", "uretprobe"] as const;

/** What program a process has attached by a perf event or tracepoint, without a link. */
export interface TaskAttachment {
  readonly programId: number;
  readonly kind: (typeof kinds)[number];
  /** Tracepoint, function or file. */
  readonly target: string;
  readonly offset: bigint;
  readonly address: bigint;
}

const notOurs = new Set([-9, -95, -2, -524]);

/** BPF_TASK_FD_QUERY; null where the descriptor of that process is none of these. */
export function queryTask(pid: number, fd: number): TaskAttachment | null {
  needCapabilities("asking for another process's programs", "CAP_SYS_ADMIN");
  const text = new Uint8Array(4096);
  const attributes = new Attributes().u32(0, pid).u32(4, fd).u32(12, text.byteLength).pointer(16, text);
  const result = attributes.try("task_fd_query");
  if (notOurs.has(result)) return null;
  bpfChecked("task_fd_query", result, `process ${pid}`);
  const kind = kinds[attributes.readU32(28)];
  if (!kind) return null;
  return {
    programId: attributes.readU32(24),
    kind,
    target: fromCString(text),
    offset: attributes.readU64(32),
    address: attributes.readU64(40),
  };
}
