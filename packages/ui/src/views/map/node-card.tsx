import { memo, type ReactNode } from "react";
import type { MapNode } from "../../model/graph.ts";
import type { Box } from "../../model/layout.ts";
import { counted } from "../../model/text.ts";
import { Icon, type IconName } from "../../parts/icon.tsx";

const icons: Readonly<Record<MapNode["kind"], IconName>> = {
  ...{ workload: "box", host: "endpoints", node: "services", world: "globe", reserved: "identities" },
};

interface NodeCardProps {
  readonly node: MapNode;
  readonly box: Box;
  readonly selected: boolean;
  readonly faded: boolean;
  readonly onSelect: (key: string) => void;
}

function subtitle({ kind, members, title, labels }: MapNode): string {
  if (members.length > 1) {
    return kind === "workload" ? counted(members.length, "workload") : counted(members.length, "address", "addresses");
  }
  if (kind !== "workload") return members[0] ?? kind;
  return labels[0] ?? (members[0] === title ? "" : (members[0] ?? ""));
}

export const NodeCard = memo(function NodeCard({ node, box, selected, faded, onSelect }: NodeCardProps): ReactNode {
  return (
    <button
      type="button"
      className={`node ${node.kind}${selected ? " selected" : ""}${faded ? " faded" : ""}`}
      data-node={node.key}
      aria-pressed={selected}
      style={{ left: box.x, top: box.y, width: box.width, height: box.height }}
      onClick={() => onSelect(node.key)}
    >
      <span className="node-head">
        <span className="node-icon">
          <Icon name={icons[node.kind]} />
        </span>
        <span className="node-names">
          <span className="node-title">{node.title}</span>
          <span className="node-sub">{subtitle(node)}</span>
        </span>
      </span>
      {node.ports.map((port) => (
        <span className="node-port" key={port.name}>
          <span className="dot" />
          <span>{port.name}</span>
          {port.layer7 === "" ? null : <span className="tag">{port.layer7}</span>}
        </span>
      ))}
    </button>
  );
});
