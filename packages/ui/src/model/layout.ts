/**
 * @module
 * Places the boxes of the map: callers left, those that are asked right, namespaces in frames. Pixels from the top left.
 */
import { Graph, layout as dagreLayout } from "@dagrejs/dagre";
import { type EdgeTone, edgeTone, type MapEdge, type MapNode, type ServiceMap } from "./graph.ts";

export const NODE_WIDTH = 208;
export const HEAD_HEIGHT = 54;
export const PORT_HEIGHT = 24;
const NODE_FOOT = 6;
const FRAME_PAD = 18;
const FRAME_HEAD = 22;

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Frame extends Box {
  readonly namespace: string;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface EdgePath {
  readonly from: Point;
  readonly to: Point;
  /** Of an SVG path. */
  readonly path: string;
  readonly label: Point;
}

export interface MapLayout {
  readonly width: number;
  readonly height: number;
  readonly nodes: ReadonlyMap<string, Box>;
  readonly frames: readonly Frame[];
  readonly edges: ReadonlyMap<string, EdgePath>;
}

export function nodeHeight(node: MapNode): number {
  return HEAD_HEIGHT + node.ports.length * PORT_HEIGHT + (node.ports.length > 0 ? NODE_FOOT : 0);
}

/** Says whether two maps stand in the same places. */
export function shapeOf({ nodes, edges }: ServiceMap): string {
  const boxes = nodes.map(({ key, ports }) => `${key}[${ports.map(({ name }) => name).join()}]`);
  return `${boxes.join(";")} ${edges.map((edge) => `${edge.key} ${edgeTone(edge)}`).join(";")}`;
}

export function layoutMap(map: ServiceMap): MapLayout {
  const boxes = placeNodes(map);
  const frames = framesOf(map, boxes);
  const all: Box[] = [...boxes.values(), ...frames];
  const left = Math.min(0, ...all.map(({ x }) => x));
  const top = Math.min(0, ...all.map(({ y }) => y));
  const move = <T extends Box>(box: T): T => ({ ...box, x: box.x - left, y: box.y - top });
  const nodes = new Map([...boxes].map(([key, box]) => [key, move(box)]));
  const courses = new Map<string, LabelledCourse>();
  for (const edge of map.edges) {
    const [from, to] = [nodes.get(edge.from), nodes.get(edge.to)];
    const row = map.nodes.find(({ key }) => key === edge.to)?.ports.findIndex(({ name }) => name === edge.port) ?? 0;
    if (from && to) courses.set(edge.key, { ...pathBetween(from, to, Math.max(0, row)), room: labelWidth(edge) });
  }
  const edges = withLabels(courses);
  return {
    width: Math.max(0, ...all.map(({ x, width }) => x + width)) - left,
    height: Math.max(0, ...all.map(({ y, height }) => y + height)) - top,
    nodes,
    frames: frames.map(move),
    edges,
  };
}

function placeNodes({ nodes, edges }: ServiceMap): Map<string, Box> {
  const graph = new Graph({ compound: true });
  graph.setGraph({ rankdir: "LR", ranksep: 230, nodesep: 32, edgesep: 20, marginx: 0, marginy: 0 });
  graph.setDefaultEdgeLabel(() => ({}));
  const namespaces = new Set(nodes.map(({ namespace }) => namespace).filter((name) => name !== ""));
  for (const name of namespaces) graph.setNode(frameKey(name), {});
  for (const node of nodes) {
    graph.setNode(node.key, { width: NODE_WIDTH, height: nodeHeight(node) });
    if (node.namespace !== "") graph.setParent(node.key, frameKey(node.namespace));
  }
  for (const { from, to } of edges) if (from !== to) graph.setEdge(from, to);
  dagreLayout(graph);
  const boxes = new Map<string, Box>();
  for (const node of nodes) {
    const { x = 0, y = 0 } = graph.node(node.key) as { x?: number; y?: number };
    const height = nodeHeight(node);
    boxes.set(node.key, { x: x - NODE_WIDTH / 2, y: y - height / 2, width: NODE_WIDTH, height });
  }
  return boxes;
}

const frameKey = (namespace: string): string => `frame:${namespace}`;

function framesOf({ nodes }: ServiceMap, boxes: ReadonlyMap<string, Box>): Frame[] {
  const members = new Map<string, Box[]>();
  for (const { key, namespace } of nodes) {
    const box = boxes.get(key);
    if (namespace !== "" && box) members.set(namespace, [...(members.get(namespace) ?? []), box]);
  }
  return [...members].map(([namespace, inside]) => {
    const x = Math.min(...inside.map((box) => box.x)) - FRAME_PAD;
    const y = Math.min(...inside.map((box) => box.y)) - FRAME_PAD - FRAME_HEAD;
    const right = Math.max(...inside.map((box) => box.x + box.width)) + FRAME_PAD;
    const bottom = Math.max(...inside.map((box) => box.y + box.height)) + FRAME_PAD;
    return { namespace, x, y, width: right - x, height: bottom - y };
  });
}

interface Course extends Omit<EdgePath, "label"> {
  /** Where its label may stand, best first. */
  readonly spots: readonly Point[];
  /** Points of the line. */
  readonly line: readonly Point[];
}

interface LabelledCourse extends Course {
  /** Width of its label. */
  readonly room: number;
}

const LABEL_HEIGHT = 24;
/** Of an arrow's head. */
const END_ROOM = 10;
const labelWidths: Readonly<Record<EdgeTone, number>> = { good: 72, denied: 116, mixed: 160, audited: 92, error: 92 };

/** At most, in pixels. */
export const labelWidth = (edge: MapEdge): number => labelWidths[edgeTone(edge)];

interface Label extends Point {
  readonly room: number;
}

/** Each label on its own line, where the fewest lines of others run below it. */
function withLabels(courses: ReadonlyMap<string, LabelledCourse>): Map<string, EdgePath> {
  const taken: Label[] = [];
  const edges = new Map<string, EdgePath>();
  for (const [key, { from, to, path, spots, room }] of courses) {
    const others = [...courses].filter(([other]) => other !== key).flatMap(([, { line }]) => line);
    const hidden = ({ x, y }: Point): number =>
      others.filter((point) => Math.abs(point.x - x) < room / 2 && Math.abs(point.y - y) < LABEL_HEIGHT / 2).length;
    // Where a line begins and where its arrow points is worth more than what runs between.
    const endsHidden = ({ x, y }: Point): number =>
      [from, to].filter((end) => Math.abs(end.x - x) < room / 2 + END_ROOM && Math.abs(end.y - y) < LABEL_HEIGHT / 2)
        .length;
    const best = spots
      .map((spot) => ({ spot, cost: hidden(spot) + endsHidden(spot) * steps.length }))
      .sort((a, b) => a.cost - b.cost);
    const label = freeSpot({ spots: best.map(({ spot }) => spot), room }, taken);
    taken.push({ ...label, room });
    edges.set(key, { from, to, path, label });
  }
  return edges;
}

/** The first that is free; where none is, below what stands at the best. */
function freeSpot({ spots, room }: Pick<LabelledCourse, "spots" | "room">, taken: readonly Label[]): Point {
  const isFree = ({ x, y }: Point): boolean =>
    taken.every((other) => Math.abs(other.x - x) >= (other.room + room) / 2 || Math.abs(other.y - y) >= LABEL_HEIGHT);
  const best = spots.find(isFree);
  if (best) return best;
  const [first = { x: 0, y: 0 }] = spots;
  for (let down = LABEL_HEIGHT; ; down += LABEL_HEIGHT) {
    const spot = { x: first.x, y: first.y + down };
    if (isFree(spot)) return spot;
  }
}

/** Of a cubic Bézier curve; `t` from 0 to 1. */
function pointAt([a, b, c, d]: readonly [Point, Point, Point, Point], t: number): Point {
  const [u, v, w, z] = [(1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t ** 2, t ** 3];
  return { x: u * a.x + v * b.x + w * c.x + z * d.x, y: u * a.y + v * b.y + w * c.y + z * d.y };
}

const steps = Array.from({ length: 25 }, (_, i) => i / 24);

/** From the head of a box to a row of ports of the other. */
function pathBetween(from: Box, to: Box, row: number): Course {
  const start = { x: from.x + from.width, y: from.y + HEAD_HEIGHT / 2 };
  const end = { x: to.x, y: to.y + HEAD_HEIGHT + row * PORT_HEIGHT + PORT_HEIGHT / 2 };
  const gap = end.x - start.x;
  if (gap < 40) return pathAround(start, end, Math.max(from.y + from.height, to.y + to.height) + 26);
  const bend = Math.min(gap / 2, 120);
  const [out, into] = [
    { x: start.x + bend, y: start.y },
    { x: end.x - bend, y: end.y },
  ];
  const path = `M${start.x},${start.y} C${out.x},${out.y} ${into.x},${into.y} ${end.x},${end.y}`;
  const along = (t: number): Point => pointAt([start, out, into, end], t);
  const spots = [0.5, 0.45, 0.55, 0.4, 0.6, 0.35, 0.65, 0.3, 0.7].map(along);
  return { from: start, to: end, path, spots, line: steps.map(along) };
}

/** Backwards, or to itself: below both boxes. */
function pathAround(start: Point, end: Point, below: number): Course {
  const [right, left] = [start.x + 44, end.x - 44];
  const middle = { x: (start.x + end.x) / 2, y: below };
  const path = [
    `M${start.x},${start.y} C${right},${start.y} ${right},${below} ${middle.x},${below}`,
    `S${left},${end.y} ${end.x},${end.y}`,
  ].join(" ");
  return { from: start, to: end, path, spots: [middle], line: [start, middle, end] };
}
