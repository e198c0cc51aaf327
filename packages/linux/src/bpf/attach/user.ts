import type { AttachTarget, Link, Program } from "@skep/machine";
import { cString, isErrno, withPinned } from "../../sys/index.ts";
import { needCapabilities } from "../capabilities.ts";
import { findUserFile, UserFile, type UserSymbol } from "../elf-file.ts";
import { LinkGroup } from "../manual-link.ts";
import { openPerfEvent, probeUnit } from "../perf-event.ts";
import { matchesGlob } from "../tracefs.ts";
import { AttachError, createLink, linkAttributes } from "./common.ts";
import { attachPerf, multiType } from "./tracing.ts";
import { prepareUsdt } from "./usdt.ts";

type TargetOf<H extends AttachTarget["hook"]> = Extract<AttachTarget, { readonly hook: H }>;

/** One probe through the uprobe PMU. */
interface SingleProbe {
  readonly path: string;
  readonly offset: number;
  readonly process: number | undefined;
  readonly isReturn: boolean;
  readonly counter: number;
  readonly cookie: bigint | undefined;
}

function attachOne(program: Program, probe: SingleProbe): Link {
  const unit = probeUnit("uprobe");
  // The counter's offset is in the upper half of the configuration (PERF_UPROBE_REF_CTR_OFFSET_SHIFT).
  const config = (probe.isReturn ? unit.returnBit : 0n) | (BigInt(probe.counter) << 32n);
  const detail = `${program.name} to ${probe.path}+0x${probe.offset.toString(16)}`;
  const event = withPinned([cString(probe.path)], (path) =>
    openPerfEvent(
      { type: unit.type, config, config1: path as bigint, config2: BigInt(probe.offset) },
      probe.process === undefined ? {} : { process: probe.process },
      detail,
    ),
  );
  return attachPerf(program, event, probe.cookie, detail);
}

export function attachUprobe(program: Program, target: TargetOf<"uprobe">): Link {
  // Stricter than for kernel functions (perf_uprobe_event_init, kernel/events/core.c).
  needCapabilities("attaching to a user function", "CAP_SYS_ADMIN");
  const path = findUserFile(target.path);
  return attachOne(program, {
    path,
    offset: target.function === undefined ? target.offset : functionOffset(program, path, target),
    process: target.process,
    isReturn: target.return ?? false,
    counter: target.counter ?? 0,
    cookie: target.cookie,
  });
}

function functionOffset(
  program: Program,
  path: string,
  target: { readonly function: string; readonly offset?: number },
): number {
  const [symbol] = withFile(path, (file) => file.symbols((name) => name === target.function));
  if (!symbol) throw new AttachError("uprobe", program.name, `${path} has no function ${target.function}`);
  return symbol.offset + (target.offset ?? 0);
}

function withFile<T>(path: string, use: (file: UserFile) => T): T {
  const file = new UserFile(path);
  try {
    return use(file);
  } finally {
    file.close();
  }
}

/** Places that a uprobe_multi link takes, with what belongs to each. */
interface MultiPlaces {
  readonly path: string;
  readonly offsets: readonly number[];
  readonly counters?: readonly number[];
  readonly cookies?: readonly bigint[];
  readonly process: number | undefined;
  readonly isReturn: boolean;
}

const BPF_F_UPROBE_MULTI_RETURN = 1;

function attachMany(program: Program, places: MultiPlaces, attachType: string): Link {
  const big = (numbers: readonly number[]) => numbers.map(BigInt);
  const attributes = linkAttributes(program, 0, attachType)
    .text(16, places.path)
    .numbers(24, big(places.offsets))
    .u32(48, places.offsets.length)
    .u32(52, places.isReturn ? BPF_F_UPROBE_MULTI_RETURN : 0)
    .u32(56, places.process ?? 0);
  if (places.counters?.some((counter) => counter !== 0)) attributes.numbers(32, big(places.counters));
  if (places.cookies) attributes.numbers(40, places.cookies);
  return createLink(attributes, `${program.name} to ${places.offsets.length} places of ${places.path}`);
}

export function attachUprobeMulti(program: Program, target: TargetOf<"uprobe_multi">): Link {
  needCapabilities("attaching to user functions", "CAP_PERFMON");
  const path = findUserFile(target.path);
  const offsets = placesOf(program, path, target.places);
  if (target.cookies && target.cookies.length !== offsets.length)
    throw new AttachError(
      "uprobe_multi",
      program.name,
      `${target.cookies.length} cookies for ${offsets.length} places`,
    );
  return attachMany(
    program,
    {
      path,
      offsets,
      process: target.process,
      isReturn: target.return ?? false,
      ...(target.cookies ? { cookies: target.cookies } : {}),
    },
    multiType(program, "trace_uprobe"),
  );
}

/** In the order of `places`; a pattern gives its functions in the order of the file's table. */
function placesOf(program: Program, path: string, places: readonly (string | number)[]): number[] {
  const patterns = places.filter((place) => typeof place === "string");
  const symbols =
    patterns.length === 0
      ? []
      : withFile(path, (file) => file.symbols((name) => patterns.some((pattern) => matchesGlob(pattern, name))));
  const offsets = places.flatMap((place) => (typeof place === "number" ? [place] : offsetsOf(symbols, place)));
  if (offsets.length === 0) throw new AttachError("uprobe_multi", program.name, `${path} has none of the functions`);
  return [...new Set(offsets)];
}

function offsetsOf(symbols: readonly UserSymbol[], pattern: string): number[] {
  return symbols.filter((symbol) => matchesGlob(pattern, symbol.name)).map((symbol) => symbol.offset);
}

export function attachUsdt(program: Program, target: TargetOf<"usdt">): Link {
  needCapabilities("attaching to a static probe", "CAP_PERFMON");
  const path = findUserFile(target.path);
  const probes = withFile(path, (file) =>
    file.probes().filter((probe) => probe.provider === target.provider && probe.name === target.name),
  );
  if (probes.length === 0)
    throw new AttachError("usdt", program.name, `${path} has no probe ${target.provider}:${target.name}`);
  const cookies = prepareUsdt(program, probes, target.cookie ?? 0n);
  const places: MultiPlaces = {
    path,
    offsets: probes.map((probe) => probe.offset),
    counters: probes.map((probe) => probe.counter),
    cookies,
    process: target.process,
    isReturn: false,
  };
  return attachSites(program, places);
}

/** One link for all sites where the kernel and the program can (6.6), else one for each. */
function attachSites(program: Program, places: MultiPlaces): Link {
  try {
    return attachMany(program, places, "trace_uprobe_multi");
  } catch (error) {
    if (!isErrno(error, "EINVAL", "EOPNOTSUPP")) throw error;
  }
  needCapabilities("attaching to a static probe without uprobe_multi", "CAP_SYS_ADMIN");
  const links: Link[] = [];
  try {
    for (const [at, offset] of places.offsets.entries()) {
      links.push(
        attachOne(program, {
          path: places.path,
          offset,
          process: places.process,
          isReturn: false,
          counter: places.counters?.[at] ?? 0,
          cookie: places.cookies?.[at],
        }),
      );
    }
  } catch (error) {
    for (const link of links) link.close();
    throw error;
  }
  return new LinkGroup("usdt", links);
}
