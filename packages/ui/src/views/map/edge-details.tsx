import type { ReactNode } from "react";
import type { Chip } from "../../model/chips.ts";
import { edgeTone, type MapEdge, type MapNode, type ServiceMap } from "../../model/graph.ts";
import type { NamedPolicy } from "../../model/row.ts";
import { formatCount, formatMoment, formatRate } from "../../model/text.ts";
import { Drawer, Facts } from "../../parts/drawer.tsx";
import { PolicyNames } from "../flows/flow-details.tsx";
import { toneNames } from "./edge-view.tsx";

interface Actions {
  readonly onClose: () => void;
  readonly onFilter: (...chips: Chip[]) => void;
  readonly onPolicy: (policy: NamedPolicy) => void;
}

interface EdgeDetailsProps extends Actions {
  readonly edge: MapEdge;
  readonly map: ServiceMap;
  readonly why: ReactNode;
}

const nodeOf = (map: ServiceMap, key: string): MapNode | undefined => map.nodes.find((node) => node.key === key);

/** A chip for a box of the map; null where no filter says the same. */
function chipFor(node: MapNode | undefined, side: "from" | "to"): Chip[] {
  if (!node) return [];
  if (node.kind === "workload") {
    return node.members.length > 8 || node.members.length === 0
      ? [{ field: `${side}-namespace`, value: node.namespace, not: false }]
      : node.members.map((member) => ({ field: `${side}-pod`, value: `${node.namespace}/${member}`, not: false }));
  }
  if (node.kind === "world" && node.title !== "world")
    return [{ field: `${side}-fqdn`, value: node.title, not: false }];
  return [{ field: `${side}-identity`, value: node.title, not: false }];
}

export function EdgeDetails({ edge, map, why, onClose, onFilter, onPolicy }: EdgeDetailsProps): ReactNode {
  const [from, to] = [nodeOf(map, edge.from), nodeOf(map, edge.to)];
  const tone = edgeTone(edge);
  const denied = edge.policies.filter(({ verdict }) => verdict === "denied");
  const shown = denied.length > 0 ? denied : edge.policies;
  return (
    <Drawer
      label={`Traffic from ${from?.title ?? edge.from} to ${to?.title ?? edge.to}`}
      onClose={onClose}
      title={
        <>
          {from?.title ?? edge.from} <span className="quiet">→</span> {to?.title ?? edge.to}
        </>
      }
    >
      <p className="drawer-lead">
        <span className={`verdict ${tone === "good" ? "forwarded" : tone === "audited" ? "audited" : "dropped"}`}>
          {toneNames[tone]}
        </span>{" "}
        at {edge.port}
        {edge.layer7 === "" ? "" : `, ${edge.layer7}`}
      </p>
      <PolicyNames policies={shown} onPolicy={onPolicy} />
      {why}
      <Facts
        facts={[
          ["Rate", edge.rate > 0 ? formatRate(edge.rate) : "idle"],
          ["Forwarded", formatCount(edge.forwarded)],
          ["Dropped", edge.dropped === 0 ? "" : formatCount(edge.dropped)],
          ["Reasons", [...edge.reasons].map(([reason, count]) => `${reason} (${formatCount(count)})`).join(", ")],
          ["Audited", edge.audited === 0 ? "" : formatCount(edge.audited)],
          ["Server errors", edge.errors === 0 ? "" : formatCount(edge.errors)],
          ["First seen", formatMoment(edge.firstSeen)],
          ["Last seen", formatMoment(edge.lastSeen)],
        ]}
      />
      <div className="drawer-actions">
        <button
          type="button"
          className="button"
          onClick={() => onFilter(...chipFor(from, "from"), ...chipFor(to, "to"))}
        >
          Only these flows
        </button>
      </div>
    </Drawer>
  );
}

interface NodeDetailsProps extends Pick<Actions, "onClose" | "onFilter"> {
  readonly node: MapNode;
  readonly map: ServiceMap;
  readonly onEdge: (key: string) => void;
}

export function NodeDetails({ node, map, onClose, onFilter, onEdge }: NodeDetailsProps): ReactNode {
  const callers = map.edges.filter(({ to }) => to === node.key);
  const called = map.edges.filter(({ from }) => from === node.key);
  const either = chipFor(node, "from").map((chip) => ({ ...chip, field: chip.field.replace(/^from-/, "") }));
  return (
    <Drawer label={`Node ${node.title}`} title={node.title} onClose={onClose}>
      <Facts
        facts={[
          ["Namespace", node.namespace],
          [node.kind === "workload" ? "Workloads" : "Addresses", node.members.slice(0, 20).join(", ")],
          ["Labels", node.labels.join(", ")],
        ]}
      />
      <EdgeList title="Asked by" edges={callers} map={map} end="from" onEdge={onEdge} />
      <EdgeList title="Asks" edges={called} map={map} end="to" onEdge={onEdge} />
      <div className="drawer-actions">
        <button type="button" className="button" onClick={() => onFilter(...either)}>
          Only its flows
        </button>
      </div>
    </Drawer>
  );
}

interface EdgeListProps {
  readonly title: string;
  readonly edges: readonly MapEdge[];
  readonly map: ServiceMap;
  readonly end: "from" | "to";
  readonly onEdge: (key: string) => void;
}

function EdgeList({ title, edges, map, end, onEdge }: EdgeListProps): ReactNode {
  if (edges.length === 0) return null;
  return (
    <section className="drawer-part">
      <h3>{title}</h3>
      <ul className="edge-list">
        {edges.map((edge) => (
          <li key={edge.key}>
            <button type="button" className="link" onClick={() => onEdge(edge.key)}>
              {nodeOf(map, edge[end])?.title ?? edge[end]}
            </button>{" "}
            <span className="quiet">{edge.port}</span>{" "}
            <span className={`tone ${edgeTone(edge)}`}>{toneNames[edgeTone(edge)]}</span>{" "}
            <span className="quiet">{edge.rate > 0 ? formatRate(edge.rate) : "idle"}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
