import { type ReactNode, useState } from "react";
import type { skep } from "@skep/api";
import { policyName } from "../../model/row.ts";
import { counted } from "../../model/text.ts";
import type { SimulationResult, SuggestionResult } from "../../policy/engine.ts";
import { NotTold } from "../../parts/empty.tsx";
import { Icon } from "../../parts/icon.tsx";
import { useDocuments, useEngine, usePolicies } from "../../state/policies.ts";
import type { FlowsViewProps } from "../flows-view.tsx";
import { Changes } from "./changes.tsx";

export const keyOf = ({ kind, namespace, name }: Pick<skep.PolicyRule, "kind" | "namespace" | "name">): string =>
  `${kind}/${policyName({ namespace, name })}`;

const DRAFT = "draft";

/** The policies in force with their text and what they select; a text that is tried on the shown flows. */
export function PoliciesView(props: FlowsViewProps): ReactNode {
  const { clients, place, go, snapshot, status } = props;
  const engine = useEngine();
  const polled = usePolicies(clients);
  const documents = useDocuments(engine, polled.value);
  const [texts, setTexts] = useState<Readonly<Record<string, string>>>({});
  const [result, setResult] = useState<SimulationResult | null>(null);
  const [suggestion, setSuggestion] = useState<SuggestionResult | null>(null);
  const rules = polled.value?.rules ?? [];
  const asked = place.selection?.kind === "policy" ? place.selection.key : null;
  const rule = rules.find((each) => keyOf(each) === asked) ?? (asked === DRAFT ? null : (rules[0] ?? null));
  const key = rule ? keyOf(rule) : DRAFT;
  const original = rule?.text ?? "";
  const text = texts[key] ?? original;
  const choose = (next: string): void => {
    setResult(null);
    setSuggestion(null);
    go({ selection: { kind: "policy", key: next } }, "replace");
  };
  const edit = (next: string): void => {
    setTexts({ ...texts, [key]: next });
    setResult(null);
  };
  const suggest = (): void => {
    if (!engine) return;
    const found = engine.suggestFor(snapshot.rows, {});
    choose(DRAFT);
    setSuggestion(found);
    setTexts({ ...texts, [DRAFT]: found.yaml });
  };
  const simulate = (): void => {
    if (engine && documents)
      setResult(engine.simulateText(text, documents, snapshot.rows, polled.value?.clusterName || "default"));
  };
  if (!polled.value) {
    return (
      <div className="policies untold">
        <NotTold problem={polled.problem} what="its policies" />
      </div>
    );
  }
  return (
    <div className="policies">
      <nav className="policy-list" aria-label="Policies">
        <div className="policy-list-head">
          <h2>Policies</h2>
          <button type="button" className="quiet-button" onClick={() => choose(DRAFT)}>
            <Icon name="plus" size={13} /> New
          </button>
        </div>
        <ul>
          {rules.map((each) => (
            <PolicyItem key={keyOf(each)} rule={each} current={keyOf(each) === key} onChoose={choose} />
          ))}
          {key === DRAFT ? (
            <li>
              <button type="button" className="policy-item" aria-current="true">
                <span className="policy-title">Draft</span>
                <span className="quiet">not in force</span>
              </button>
            </li>
          ) : null}
        </ul>
        {rules.length === 0 ? <p className="quiet pad">No policy is in force: everything is allowed.</p> : null}
        {(status?.errors ?? []).map((error) => (
          <p className="refused" key={`${error.file}:${error.line} ${error.message}`}>
            <Icon name="warn" size={14} /> {error.file}:{error.line}: {error.message}
          </p>
        ))}
        <div className="pad">
          <button type="button" className="button" disabled={!engine || snapshot.rows.size === 0} onClick={suggest}>
            Suggest from {counted(snapshot.rows.size, "shown flow")}
          </button>
        </div>
      </nav>
      <section className="policy-text" aria-label="Text of the policy">
        <PolicyHead
          rule={rule}
          onEndpoint={(name) =>
            go({ view: "map", chips: [{ field: "pod", value: name, not: false }], selection: null })
          }
        />
        {suggestion && key === DRAFT ? <SuggestionNote suggestion={suggestion} /> : null}
        <textarea
          aria-label={rule ? `Text of ${policyName(rule)}` : "Text of a new policy"}
          value={text}
          spellCheck={false}
          placeholder="apiVersion: cilium.io/v2 …"
          onChange={(event) => edit(event.target.value)}
        />
        <div className="policy-actions">
          <button
            type="button"
            className="button primary"
            disabled={!documents || text.trim() === ""}
            onClick={simulate}
          >
            Simulate on {counted(snapshot.rows.size, "shown flow")}
          </button>
          <button type="button" className="button" disabled={text === original} onClick={() => edit(original)}>
            Undo changes
          </button>
          <span className="quiet">Nothing is applied: put the text into the agent’s folder for that.</span>
        </div>
        {result ? <Changes result={result} /> : null}
      </section>
    </div>
  );
}

interface ItemProps {
  readonly rule: skep.PolicyRule;
  readonly current: boolean;
  readonly onChoose: (key: string) => void;
}

function PolicyItem({ rule, current, onChoose }: ItemProps): ReactNode {
  return (
    <li>
      <button
        type="button"
        className="policy-item"
        {...(current ? { "aria-current": "true" as const } : {})}
        onClick={() => onChoose(keyOf(rule))}
      >
        <span className="policy-title">{policyName(rule)}</span>
        <span className="quiet">
          {rule.kind}, selects {counted(rule.endpoints.length, "workload")}
        </span>
      </button>
    </li>
  );
}

function PolicyHead(props: {
  readonly rule: skep.PolicyRule | null;
  readonly onEndpoint: (name: string) => void;
}): ReactNode {
  const { rule, onEndpoint } = props;
  if (!rule) return <h2>New policy</h2>;
  return (
    <>
      <h2>
        {policyName(rule)} <span className="quiet">{rule.kind}</span>
      </h2>
      <p className="quiet" title={rule.file}>
        {rule.file.split("/").slice(-2).join("/")}, line {rule.line}
      </p>
      <p className="selects">
        Selects{" "}
        {rule.endpoints.length === 0
          ? "no workload"
          : rule.endpoints.map((name) => (
              <button
                type="button"
                className="label"
                key={name}
                title="Show on the map"
                onClick={() => onEndpoint(name)}
              >
                {name}
              </button>
            ))}
      </p>
    </>
  );
}

function SuggestionNote({ suggestion }: { readonly suggestion: SuggestionResult }): ReactNode {
  const { policies, flows, denied } = suggestion;
  if (policies === 0) return <p className="notice">There is no flow between workloads to suggest a policy for.</p>;
  return (
    <p className="notice" role="status">
      {counted(policies, "policy", "policies")} for {counted(flows, "flow")} that passed. Replayed against them,{" "}
      {denied} of these are denied.
    </p>
  );
}
