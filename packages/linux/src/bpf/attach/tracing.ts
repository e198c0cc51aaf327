import type { AttachTarget, Link, Program } from "@skep/machine";
import { type Descriptor, isErrno } from "../../sys/index.ts";
import { Attributes, bpfChecked } from "../attributes.ts";
import { needCapabilities } from "../capabilities.ts";
import { onlineCpus } from "../cpus.ts";
import { ManualLink, LinkGroup } from "../manual-link.ts";
import { descriptorOf } from "../map.ts";
import { NotSupportedError } from "../not-supported.ts";
import { enablePerfEvent, openPerfEvent, openSampling, PERF_TYPE, probeUnit, setPerfProgram } from "../perf-event.ts";
import { matchesGlob, probeableFunctions, tracepointId } from "../tracefs.ts";
import { cString, withPinned } from "../../sys/index.ts";
import { AttachError, attachTypeOf, createLink, linkAttributes, linkOf } from "./common.ts";

type TargetOf<H extends AttachTarget["hook"]> = Extract<AttachTarget, { readonly hook: H }>;

export function attachRawTracepoint(program: Program, target: TargetOf<"raw_tracepoint">): Link {
  needCapabilities("attaching to a tracepoint", "CAP_PERFMON");
  const attributes = new Attributes()
    .text(0, target.name)
    .u32(8, descriptorOf(program))
    .u64(16, target.cookie ?? 0n);
  return linkOf(attributes.run("raw_tracepoint_open", `${program.name} to ${target.name}`));
}

/** Programs that know their place since they were loaded. RAW_TRACEPOINT_OPEN without a name is older than LINK_CREATE. */
export function attachTracing(program: Program, target: TargetOf<"tracing"> | TargetOf<"freplace">): Link {
  needCapabilities("attaching a tracing program", "CAP_PERFMON");
  if (target.cookie === undefined) {
    const attributes = new Attributes().u32(8, descriptorOf(program));
    return linkOf(attributes.run("raw_tracepoint_open", program.name));
  }
  const attachType = target.hook === "freplace" ? "cgroup_inet_ingress" : attachTypeOf(program, "tracing");
  return createLink(linkAttributes(program, 0, attachType).u64(24, target.cookie), program.name);
}

/** Puts a program on a perf event, which belongs to the link from here on. */
export function attachPerf(program: Program, event: Descriptor, cookie: bigint | undefined, detail: string): Link {
  try {
    const attributes = linkAttributes(program, event.fd, "perf_event").u64(16, cookie ?? 0n);
    const result = attributes.try("link_create");
    if (result === -22 && cookie === undefined) return attachPerfOld(program, event);
    bpfChecked("link_create", result, detail);
    enablePerfEvent(event);
    return linkOf(result, [event]);
  } catch (error) {
    event.close();
    throw error;
  }
}

/** Kernels before 5.15 have no links of perf events. */
export function attachPerfOld(program: Program, event: Descriptor): Link {
  setPerfProgram(event, descriptorOf(program));
  enablePerfEvent(event);
  return new ManualLink({
    type: "perf_event",
    programId: program.info.id,
    // The program goes with the event's last descriptor.
    detach: () => event.close(),
  });
}

export function attachTracepoint(program: Program, target: TargetOf<"tracepoint">): Link {
  needCapabilities("attaching to a tracepoint", "CAP_PERFMON");
  const name = `${target.category}/${target.name}`;
  const id = tracepointId(target.category, target.name);
  if (id === null) throw new NotSupportedError(`tracepoint ${name}`);
  const event = openPerfEvent({ type: PERF_TYPE.tracepoint, config: BigInt(id) }, {}, `tracepoint ${name}`);
  return attachPerf(program, event, target.cookie, `${program.name} to ${name}`);
}

export function attachSampling(program: Program, target: TargetOf<"perf_event">): Link {
  needCapabilities("attaching to a perf event", "CAP_PERFMON");
  const { event, cookie } = target;
  const links: Link[] = [];
  try {
    for (const cpu of event.cpu === undefined ? onlineCpus() : [event.cpu]) {
      links.push(attachPerf(program, openSampling(event, cpu), cookie, `${program.name} to ${event.event}`));
    }
  } catch (error) {
    for (const link of links) link.close();
    throw error;
  }
  return links.length === 1 && links[0] ? links[0] : new LinkGroup("perf_event", links);
}

export function attachKprobe(program: Program, target: TargetOf<"kprobe">): Link {
  needCapabilities("attaching to a kernel function", "CAP_PERFMON");
  const unit = probeUnit("kprobe");
  const event = withPinned([cString(target.function)], (name) =>
    openPerfEvent(
      {
        type: unit.type,
        config: target.return ? unit.returnBit : 0n,
        config1: name as bigint,
        config2: BigInt(target.offset ?? 0),
      },
      {},
      `kernel function ${target.function}`,
    ),
  );
  return attachPerf(program, event, target.cookie, `${program.name} to ${target.function}`);
}

const BPF_F_KPROBE_MULTI_RETURN = 1;

export function attachKprobeMulti(program: Program, target: TargetOf<"kprobe_multi">): Link {
  needCapabilities("attaching to kernel functions", "CAP_PERFMON");
  const functions = expandFunctions(target.functions);
  if (functions.length === 0) throw new AttachError("kprobe_multi", program.name, "no kernel function has such a name");
  const { cookies } = target;
  if (cookies && cookies.length !== functions.length)
    throw new AttachError("kprobe_multi", program.name, `${cookies.length} cookies for ${functions.length} functions`);
  const attributes = linkAttributes(program, 0, multiType(program, "trace_kprobe"))
    .u32(16, target.return ? BPF_F_KPROBE_MULTI_RETURN : 0)
    .u32(20, functions.length)
    .texts(24, functions);
  if (cookies) attributes.numbers(40, cookies);
  try {
    return createLink(attributes, `${program.name} to ${functions.length} kernel functions`);
  } catch (cause) {
    if (!isErrno(cause, "EOPNOTSUPP")) throw cause;
    throw new NotSupportedError("kprobe_multi links", {
      minKernel: "5.18",
      detail: "it was built without CONFIG_FPROBE",
      cause,
    });
  }
}

/** `_multi`, or `_session` for a program of that kind. */
export function multiType(program: Program, prefix: "trace_kprobe" | "trace_uprobe"): string {
  const type = attachTypeOf(program, `${prefix.slice(6)}_multi`);
  if (type !== `${prefix}_multi` && type !== `${prefix}_session`)
    throw new AttachError(`${prefix.slice(6)}_multi`, program.name, `it was loaded for ${type}`);
  return type;
}

function expandFunctions(patterns: readonly string[]): string[] {
  if (!patterns.some((pattern) => /[*?]/.test(pattern))) return [...patterns];
  const known = probeableFunctions();
  const found = patterns.flatMap((pattern) =>
    /[*?]/.test(pattern) ? known.filter((name) => matchesGlob(pattern, name)) : [pattern],
  );
  return [...new Set(found)];
}
