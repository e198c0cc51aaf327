import { type KeyboardEvent, type PointerEvent, type ReactNode, useMemo, useRef } from "react";
import type { ServiceMap as Services } from "../../model/graph.ts";
import { layoutMap, shapeOf } from "../../model/layout.ts";
import type { Selection } from "../../model/location.ts";
import { Icon } from "../../parts/icon.tsx";
import { EdgeLabel, EdgeLine } from "./edge-view.tsx";
import { NodeCard } from "./node-card.tsx";
import { useViewport, type ViewportControls } from "./viewport.ts";

interface ServiceMapProps {
  readonly map: Services;
  readonly selection: Selection | null;
  readonly onSelect: (selection: Selection | null) => void;
  readonly empty: ReactNode;
}

/** Keys of what is not connected with what is selected. */
function isFaded(map: Services, selection: Selection | null): (kind: "node" | "edge", key: string) => boolean {
  if (selection?.kind !== "node" && selection?.kind !== "edge") return () => false;
  const edges = map.edges.filter(({ key, from, to }) =>
    selection.kind === "edge" ? key === selection.key : from === selection.key || to === selection.key,
  );
  if (edges.length === 0) return () => false;
  const lit = new Set(edges.flatMap(({ key, from, to }) => [`edge ${key}`, `node ${from}`, `node ${to}`]));
  return (kind, key) => !lit.has(`${kind} ${key}`);
}

const STEP = 60;

function onMapKey(event: KeyboardEvent, { fit, pan, zoom }: ViewportControls): void {
  const moves: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => pan(STEP, 0),
    ArrowRight: () => pan(-STEP, 0),
    ArrowUp: () => pan(0, STEP),
    ArrowDown: () => pan(0, -STEP),
    "+": () => zoom(1.25),
    "=": () => zoom(1.25),
    "-": () => zoom(0.8),
    "0": fit,
  };
  const move = moves[event.key];
  if (!move || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  event.stopPropagation();
  move();
}

/** Dragging the ground moves the map; what is selected stays. */
function useDragging(pan: ViewportControls["pan"]): {
  readonly onPointerDown: (event: PointerEvent<HTMLElement>) => void;
  readonly onPointerMove: (event: PointerEvent<HTMLElement>) => void;
  readonly onPointerUp: () => void;
} {
  const last = useRef<{ x: number; y: number } | null>(null);
  return {
    onPointerDown: (event) => {
      if (event.target instanceof Element && event.target.closest("button, .edge-hit")) return;
      last.current = { x: event.clientX, y: event.clientY };
      event.currentTarget.setPointerCapture(event.pointerId);
    },
    onPointerMove: (event) => {
      if (!last.current) return;
      pan(event.clientX - last.current.x, event.clientY - last.current.y);
      last.current = { x: event.clientX, y: event.clientY };
    },
    onPointerUp: () => (last.current = null),
  };
}

export function ServiceMap({ map, selection, onSelect, empty }: ServiceMapProps): ReactNode {
  const place = useRef<HTMLDivElement>(null);
  const shape = shapeOf(map);
  // Rates change every second, places only with the shape.
  const layout = useMemo(() => layoutMap(map), [shape]);
  const controls = useViewport(place, layout);
  const drag = useDragging(controls.pan);
  const { x, y, scale } = controls.viewport;
  const faded = isFaded(map, selection);
  const titles = new Map(map.nodes.map(({ key, title }) => [key, title]));
  const select = (kind: "node" | "edge") => (key: string) =>
    onSelect(selection?.kind === kind && selection.key === key ? null : { kind, key });
  const selected = (kind: string, key: string): boolean => selection?.kind === kind && selection.key === key;
  const edges = map.edges.flatMap((edge) => {
    const path = layout.edges.get(edge.key);
    if (!path) return [];
    const state = { selected: selected("edge", edge.key), faded: faded("edge", edge.key), onSelect: select("edge") };
    return [{ edge, path, ...state }];
  });
  return (
    <section className="map" aria-label="Service map">
      <div
        className="map-room"
        ref={place}
        tabIndex={0}
        role="group"
        aria-label="Map: arrows move it, plus and minus zoom"
        onKeyDown={(event) => onMapKey(event, controls)}
        {...drag}
      >
        <div className="map-world" style={{ transform: `translate(${x}px, ${y}px) scale(${scale})` }}>
          {layout.frames.map(({ namespace, x: left, y: top, width, height }) => (
            <div className="frame" key={namespace} style={{ left, top, width, height }}>
              <span>{namespace}</span>
            </div>
          ))}
          <svg
            className="edges"
            width={Math.max(1, layout.width)}
            height={Math.max(1, layout.height)}
            aria-hidden="true"
          >
            {edges.map((each) => (
              <EdgeLine key={each.edge.key} {...each} />
            ))}
          </svg>
          {map.nodes.map((node) => {
            const box = layout.nodes.get(node.key);
            return box ? (
              <NodeCard
                key={node.key}
                node={node}
                box={box}
                selected={selected("node", node.key)}
                faded={faded("node", node.key)}
                onSelect={select("node")}
              />
            ) : null;
          })}
          {edges.map((each) => (
            <EdgeLabel
              key={each.edge.key}
              {...each}
              from={titles.get(each.edge.from) ?? ""}
              to={titles.get(each.edge.to) ?? ""}
            />
          ))}
        </div>
      </div>
      {map.nodes.length === 0 ? empty : null}
      <MapButtons {...controls} />
    </section>
  );
}

function MapButtons({ zoom, fit }: Pick<ViewportControls, "zoom" | "fit">): ReactNode {
  return (
    <div className="map-buttons">
      <button type="button" aria-label="Zoom in" onClick={() => zoom(1.25)}>
        <Icon name="plus" />
      </button>
      <button type="button" aria-label="Zoom out" onClick={() => zoom(0.8)}>
        <Icon name="minus" />
      </button>
      <button type="button" aria-label="Show the whole map" onClick={fit}>
        <Icon name="fit" />
      </button>
    </div>
  );
}
