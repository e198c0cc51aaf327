import { useEffect, useMemo, useState } from "react";
import type { PolicyDocument } from "@skep/policy";
import type { skep } from "@skep/api";
import type { Clients } from "../api/clients.ts";
import type * as Engine from "../policy/engine.ts";
import { type Polled, usePolled } from "./hooks.ts";

type EngineModule = typeof Engine;

/** The policy engine, once it is there. */
export function useEngine(): EngineModule | null {
  const [engine, setEngine] = useState<EngineModule | null>(null);
  useEffect(() => {
    let isHere = true;
    void import("../policy/engine.ts").then((module) => {
      if (isHere) setEngine(module);
    });
    return () => {
      isHere = false;
    };
  }, []);
  return engine;
}

export interface PolicyState {
  readonly rules: readonly skep.PolicyRule[];
  readonly identities: readonly skep.Identity[];
  readonly clusterName: string;
}

/** What the agent enforces, and whom it knows. */
export function usePolicies(clients: Clients): Polled<PolicyState> {
  return usePolled(async (signal) => {
    const [{ rules, clusterName }, { identities }] = await Promise.all([
      clients.agent.getPolicy({}, { signal }),
      clients.agent.listIdentities({}, { signal }),
    ]);
    return { rules, identities, clusterName };
  }, 4000);
}

/** Documents of the rules; the same array while the rules say the same. */
export function useDocuments(engine: EngineModule | null, state: PolicyState | null): readonly PolicyDocument[] | null {
  const text = (state?.rules ?? []).map(({ file, line, text: each }) => `${file}:${line}\n${each}`).join("\n");
  return useMemo(
    () => (engine && state ? engine.documentsOf(state.rules, state.clusterName || "default") : null),
    [engine, state === null, text],
  );
}
