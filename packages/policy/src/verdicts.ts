import type { PolicyEngine } from "./engine.ts";
import type { ConnectionEnd, ConnectionQuery } from "./explain.ts";
import { PolicyIndex } from "./lookup.ts";
import type { PolicyMapEntry } from "./map-state.ts";
import type { Direction } from "./rule.ts";

export type ConnectionVerdict = "allowed" | "denied" | "redirected";

/** A connection passes where both ends let it pass. */
export function bothVerdicts(egress: ConnectionVerdict, ingress: ConnectionVerdict): ConnectionVerdict {
  if (egress === "denied" || ingress === "denied") return "denied";
  return egress === "redirected" || ingress === "redirected" ? "redirected" : "allowed";
}

/** Verdicts of many connections between the same ends, with what decided. */
export class Verdicts {
  readonly engine: PolicyEngine;
  private readonly policies = new Map<string, PolicyIndex>();

  constructor(engine: PolicyEngine) {
    this.engine = engine;
  }

  verdict(query: ConnectionQuery): ConnectionVerdict {
    return bothVerdicts(this.side("egress", query), this.side("ingress", query));
  }

  /** The entry that the kernel would find at one end; undefined where that end has no policy, null where it denies by default. */
  entry(direction: Direction, query: ConnectionQuery): PolicyMapEntry | null | undefined {
    const { source, destination, protocol, port } = query;
    const [own, other] = direction === "egress" ? [source, destination] : [destination, source];
    if (!own.subject) return undefined;
    return this.index(own).lookup({ direction, identity: other.identity.id, protocol, port });
  }

  /** What the policy of one end says; allowed where it has none. */
  side(direction: Direction, query: ConnectionQuery): ConnectionVerdict {
    const entry = this.entry(direction, query);
    if (entry === undefined) return "allowed";
    if (entry === null || entry.deny) return "denied";
    return entry.proxyPort > 0 ? "redirected" : "allowed";
  }

  private index({ identity, subject }: ConnectionEnd): PolicyIndex {
    const ports = (subject?.namedPorts ?? []).map(({ name, protocol, port }) => `${name} ${protocol} ${port}`);
    const key = `${identity.id} ${ports.join()}`;
    let index = this.policies.get(key);
    if (!index) {
      index = new PolicyIndex(this.engine.resolve(subject ?? { id: identity.id, identity }));
      this.policies.set(key, index);
    }
    return index;
  }
}
