import { type ReactNode, useState } from "react";
import type { skep } from "@skep/api";
import { policyName } from "../../model/row.ts";
import { formatCount } from "../../model/text.ts";
import { Empty, NotTold } from "../../parts/empty.tsx";
import type { Polled } from "../../state/hooks.ts";
import { usePolled } from "../../state/hooks.ts";
import { Labels } from "../flows/flow-details.tsx";
import type { FlowsViewProps } from "../flows-view.tsx";

interface Column<T> {
  readonly name: string;
  readonly cell: (item: T) => ReactNode;
}

interface ListProps<T> {
  readonly title: string;
  readonly polled: Polled<readonly T[]>;
  readonly columns: readonly Column<T>[];
  readonly keyOf: (item: T) => string;
  /** What the search looks at. */
  readonly textOf: (item: T) => string;
}

/** A table with a search; what the agent answered last stays while it is away. */
function List<T>({ title, polled, columns, keyOf, textOf }: ListProps<T>): ReactNode {
  const [search, setSearch] = useState("");
  const items = polled.value ?? [];
  const shown = items.filter((item) => textOf(item).toLowerCase().includes(search.toLowerCase()));
  const name = title.toLowerCase();
  return (
    <div className="list">
      <div className="list-head">
        <h2>{title}</h2>
        <span className="quiet">
          {shown.length === items.length ? formatCount(items.length) : `${shown.length} of ${items.length}`}
        </span>
        <input
          className="field"
          type="search"
          aria-label={`Search ${name}`}
          placeholder={`Search ${name}`}
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
      </div>
      <div className="list-room" tabIndex={0} role="region" aria-label={title}>
        <table className="table">
          <thead>
            <tr>
              {columns.map((column) => (
                <th key={column.name} scope="col">
                  {column.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {shown.map((item) => (
              <tr key={keyOf(item)}>
                {columns.map((column) => (
                  <td key={column.name}>{column.cell(item)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
        {shown.length > 0 ? null : (
          <div className="list-empty">
            {polled.value ? (
              <Empty icon="search" title={items.length === 0 ? `There are no ${name}` : "Nothing matches"} />
            ) : (
              <NotTold problem={polled.problem} what={`its ${name}`} />
            )}
          </div>
        )}
      </div>
    </div>
  );
}

const POLL_MS = 3000;

export function EndpointsView({ clients, go }: FlowsViewProps): ReactNode {
  const polled = usePolled(async (signal) => (await clients.agent.listEndpoints({}, { signal })).endpoints, POLL_MS);
  const show = (endpoint: skep.Endpoint): void =>
    go({ view: "map", chips: [{ field: "pod", value: policyName(endpoint), not: false }], selection: null });
  const enforced = ({ ingressEnforced, egressEnforced }: skep.Endpoint): string =>
    [ingressEnforced ? "ingress" : "", egressEnforced ? "egress" : ""].filter((each) => each !== "").join(", ") || "no";
  return (
    <List
      title="Endpoints"
      polled={polled}
      keyOf={({ id }) => String(id)}
      textOf={(each) => [policyName(each), each.ipv4, each.ipv6, ...each.identityLabels].join(" ")}
      columns={[
        { name: "Number", cell: ({ id }) => id },
        {
          name: "Workload",
          cell: (each) => (
            <button type="button" className="link" title="Show on the map" onClick={() => show(each)}>
              {policyName(each)}
            </button>
          ),
        },
        {
          name: "State",
          cell: ({ state, reason }) => (
            <span className={`tone ${state === "ready" ? "good" : "denied"}`} title={reason}>
              {state}
            </span>
          ),
        },
        {
          name: "Addresses",
          cell: ({ ipv4, ipv6 }) => <code>{[ipv4, ipv6].filter((each) => each !== "").join(" ")}</code>,
        },
        { name: "Identity", cell: ({ identity }) => identity },
        { name: "Enforced", cell: (each) => (each.audit ? `${enforced(each)}, audit` : enforced(each)) },
        { name: "Labels", cell: ({ identityLabels }) => <Labels labels={identityLabels.filter(isOwn)} /> },
      ]}
    />
  );
}

const isOwn = (label: string): boolean => !/^k8s:io\.(cilium|kubernetes)\./.test(label);

export function ServicesView({ clients }: FlowsViewProps): ReactNode {
  const polled = usePolled(async (signal) => (await clients.agent.listServices({}, { signal })).services, POLL_MS);
  return (
    <List
      title="Services"
      polled={polled}
      keyOf={(each) => `${each.id} ${each.address} ${each.port} ${each.protocol} ${each.type} ${each.internalScope}`}
      textOf={(each) => [policyName(each), each.address, String(each.port), each.type].join(" ")}
      columns={[
        { name: "Service", cell: (each) => policyName(each) },
        { name: "Type", cell: ({ type }) => type },
        { name: "Frontend", cell: ({ address, port, protocol }) => <code>{`${address}:${port}/${protocol}`}</code> },
        {
          name: "Backends",
          cell: ({ backends, error }) =>
            error !== "" ? (
              <span className="tone denied">{error}</span>
            ) : backends.length === 0 ? (
              <span className="tone audited">none</span>
            ) : (
              <ul>
                {backends.map((backend) => (
                  <li key={`${backend.address}:${backend.port}`}>
                    <code>{`${backend.address}:${backend.port}`}</code> {backend.workload}{" "}
                    <span className="quiet">{backend.state === "active" ? "" : backend.state}</span>
                  </li>
                ))}
              </ul>
            ),
        },
        {
          name: "More",
          cell: ({ flags, redirectTo }) => [...flags, redirectTo].filter((each) => each !== "").join(", "),
        },
      ]}
    />
  );
}

export function IdentitiesView({ clients, go }: FlowsViewProps): ReactNode {
  const polled = usePolled(async (signal) => (await clients.agent.listIdentities({}, { signal })).identities, POLL_MS);
  return (
    <List
      title="Identities"
      polled={polled}
      keyOf={({ id }) => String(id)}
      textOf={({ id, labels }) => [String(id), ...labels].join(" ")}
      columns={[
        {
          name: "Identity",
          cell: ({ id }) => (
            <button
              type="button"
              className="link"
              title="Show its flows"
              onClick={() =>
                go({ view: "flows", chips: [{ field: "identity", value: String(id), not: false }], selection: null })
              }
            >
              {id}
            </button>
          ),
        },
        { name: "Labels", cell: ({ labels }) => <Labels labels={labels} /> },
      ]}
    />
  );
}
