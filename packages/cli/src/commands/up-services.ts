/**
 * @module
 * What `skep up` is told about services, as the agent takes it.
 */
import { resolve } from "node:path";
import type { AgentOptions } from "@skep/agent";
import { usageError } from "../errors.ts";
import type { UpOptions } from "./up.ts";

type Flags = Pick<
  UpOptions,
  | "devices"
  | "routing"
  | "tunnelProtocol"
  | "lbAlgorithm"
  | "maglevTableSize"
  | "lbMode"
  | "lbDsrDispatch"
  | "prefilterCidrs"
  | "lbAcceleration"
  | "lbNoBackend"
  | "nat46x64"
  | "lbTerminate"
  | "nodePortRange"
>;

/** `30000,32767` to its ends. */
function portRange(text: string): [first: number, last: number] {
  const [, first, last] = (/^(\d{1,5}),(\d{1,5})$/.exec(text) ?? []).map(Number);
  if (first === undefined || last === undefined || first < 1 || last > 65_535 || first > last)
    throw usageError(`--node-port-range ${text}: a first and a last port with a comma between, such as 30000,32767`);
  return [first, last];
}

/** Throws usage errors. */
export function balancingOf(
  flags: Flags,
): Pick<
  AgentOptions,
  | "loadBalancer"
  | "lbAcceleration"
  | "lbDispatch"
  | "lbNoBackend"
  | "lbTerminate"
  | "prefilterFile"
  | "healthCheckPorts"
> {
  const { lbAlgorithm: algorithm, lbMode: mode, lbAcceleration, lbNoBackend, lbTerminate } = flags;
  const nodePortRange = portRange(flags.nodePortRange);
  if (lbAcceleration !== "disabled" && (flags.devices ?? "") === "")
    throw usageError(`--lb-acceleration ${lbAcceleration} needs --devices: it is at them`);
  const dispatch = flags.lbDsrDispatch;
  const isTunnelled = flags.routing === "geneve" || (flags.routing === "tunnel" && flags.tunnelProtocol === "geneve");
  const directReturn = flags.routing === "native" || (isTunnelled && dispatch === "geneve");
  if (mode !== "snat" && !directReturn)
    throw usageError(
      `--lb-mode ${mode} needs --routing native, or tunnels that bear what was asked: --tunnel-protocol geneve with --lb-dsr-dispatch geneve`,
    );
  const { prefilterCidrs, nat46x64 } = flags;
  if (nat46x64 !== undefined && (flags.devices ?? "") === "")
    throw usageError("--nat46x64 needs --devices: it is at them");
  if (prefilterCidrs !== undefined && (flags.devices ?? "") === "")
    throw usageError("--prefilter-cidrs needs --devices: it is at them");
  return {
    healthCheckPorts: true,
    ...(prefilterCidrs === undefined ? {} : { prefilterFile: resolve(prefilterCidrs) }),
    loadBalancer: {
      ...{ algorithm, maglevTableSize: Number(flags.maglevTableSize), mode, directReturn, nodePortRange },
      ...(nat46x64 ? { nat46x64: true } : {}),
    },
    ...(nat46x64 ? { nat46x64 } : {}),
    ...{ lbAcceleration, lbNoBackend, lbTerminate, lbDispatch: dispatch === "opt" ? "option" : dispatch },
  };
}
