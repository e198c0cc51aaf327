import { type ReactNode, useMemo } from "react";
import type { flow } from "@skep/api";
import type { Clients } from "../../api/clients.ts";
import type { NamedPolicy } from "../../model/row.ts";
import type { RuleName } from "../../policy/engine.ts";
import { useDocuments, useEngine, usePolicies } from "../../state/policies.ts";

interface WhyProps {
  readonly message: flow.Flow;
  readonly clients: Clients;
  readonly onPolicy: (policy: Pick<NamedPolicy, "kind" | "namespace" | "name">) => void;
}

/** What the policies in force say of a flow: the rules that decide, or the nearest that misses. */
export function WhyOf({ message, clients, onPolicy }: WhyProps): ReactNode {
  const engine = useEngine();
  const { value } = usePolicies(clients);
  const documents = useDocuments(engine, value);
  const why = useMemo(
    () => (engine && documents && value ? new engine.Explainer(documents, value.identities).why(message) : null),
    [engine, documents, value, message],
  );
  if (!why) return null;
  return (
    <section className="why-box" aria-label="What the policies say">
      <h3>What the policies in force say</h3>
      {why.note === "" ? null : <p>{why.note}</p>}
      {why.sides.map((side) => (
        <div key={side.direction} className="why-side">
          <p>
            <span className={`verdict ${side.verdict === "denied" ? "dropped" : "forwarded"}`}>
              {side.direction} {side.verdict}
            </span>
            : {side.because}
          </p>
          <ul>
            {side.rules.map((rule) => (
              <li key={`${rule.name} ${rule.path}`}>
                <RuleLink rule={rule} onPolicy={onPolicy} />
              </li>
            ))}
          </ul>
          {side.nearest ? (
            <>
              <p>
                Nearest: <RuleLink rule={side.nearest.rule} onPolicy={onPolicy} />
              </p>
              <ul>
                {side.nearest.misses.map((miss) => (
                  <li key={miss}>but {miss}</li>
                ))}
              </ul>
            </>
          ) : null}
        </div>
      ))}
      {why.changed ? <p className="tone audited">The policies have changed since: now it would be otherwise.</p> : null}
    </section>
  );
}

function RuleLink({ rule, onPolicy }: { readonly rule: RuleName; readonly onPolicy: WhyProps["onPolicy"] }): ReactNode {
  const name = rule.namespace === "" ? rule.name : `${rule.namespace}/${rule.name}`;
  return (
    <>
      <button type="button" className="link" onClick={() => onPolicy(rule)}>
        {name}
      </button>{" "}
      <span className="quiet">
        {rule.path}
        {rule.line === 0 ? "" : `, line ${rule.line}`}
      </span>
    </>
  );
}
