import { memo, type ReactNode } from "react";
import { type EdgeTone, edgeTone, type MapEdge } from "../../model/graph.ts";
import type { EdgePath } from "../../model/layout.ts";
import { formatRate, formatShare } from "../../model/text.ts";
import { Icon, type IconName } from "../../parts/icon.tsx";

interface EdgeProps {
  readonly edge: MapEdge;
  readonly path: EdgePath;
  readonly selected: boolean;
  readonly faded: boolean;
  readonly onSelect: (key: string) => void;
}

export const toneNames: Readonly<Record<EdgeTone, string>> = {
  ...{ denied: "denied", mixed: "partly denied", audited: "audited", error: "with errors", good: "allowed" },
};

/** Thicker with the logarithm of the rate. */
function widthOf(rate: number): number {
  return Math.min(6, 1.6 + Math.log10(1 + rate * 4));
}

export const EdgeLine = memo(function EdgeLine({ edge, path, selected, faded, onSelect }: EdgeProps): ReactNode {
  const tone = edgeTone(edge);
  const classes = `edge ${tone}${selected ? " selected" : ""}${faded ? " faded" : ""}${edge.rate > 0 ? " moving" : ""}`;
  return (
    <g className={classes} data-edge={edge.key} data-tone={tone}>
      <path className="edge-line" d={path.path} strokeWidth={widthOf(edge.rate)} />
      <circle className="edge-start" cx={path.from.x} cy={path.from.y} r={3.5} />
      <path className="edge-head" d={`M${path.to.x - 8},${path.to.y - 4.5}l8,4.500l-8,4.500z`} />
      {/* Wide enough to be hit; by keyboard the label is the button. */}
      <path className="edge-hit" d={path.path} onClick={() => onSelect(edge.key)} />
    </g>
  );
});

const toneIcons: Readonly<Record<EdgeTone, IconName | null>> = {
  ...{ denied: "block", mixed: "block", audited: "warn", error: "warn", good: null },
};

interface LabelProps extends EdgeProps {
  readonly from: string;
  readonly to: string;
}

/** `denied · 30/min`. */
function labelText(edge: MapEdge): string {
  const tone = edgeTone(edge);
  const rate = edge.rate > 0 ? formatRate(edge.rate) : "idle";
  if (tone === "denied") return `denied · ${rate}`;
  if (tone === "mixed") return `${formatShare(edge.dropped, edge.dropped + edge.forwarded)} denied · ${rate}`;
  return rate;
}

export const EdgeLabel = memo(function EdgeLabel(props: LabelProps): ReactNode {
  const { edge, path, selected, faded, onSelect, from, to } = props;
  const tone = edgeTone(edge);
  const icon = toneIcons[tone];
  return (
    <button
      type="button"
      className={`edge-label ${tone}${selected ? " selected" : ""}${faded ? " faded" : ""}`}
      style={{ left: path.label.x, top: path.label.y }}
      aria-pressed={selected}
      aria-label={`${labelText(edge)}: ${from} to ${to}, ${edge.port}, ${toneNames[tone]}`}
      data-label={edge.key}
      onClick={() => onSelect(edge.key)}
    >
      {icon === null ? null : <Icon name={icon} size={12} />}
      {labelText(edge)}
    </button>
  );
});
