import { Code, ConnectError } from "@connectrpc/connect";
import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import type { Grouping } from "../model/ends.ts";
import { MapBuilder, type ServiceMap } from "../model/graph.ts";
import type { Period } from "../model/location.ts";
import type { Row } from "../model/row.ts";
import type { FeedSnapshot, FlowFeed } from "./feed.ts";

export function useFeed(feed: FlowFeed): FeedSnapshot {
  return useSyncExternalStore(feed.subscribe, feed.snapshot);
}

/** Counts up every `ms`. */
export function useTick(ms: number): number {
  const [tick, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTick((before) => before + 1), ms);
    return () => clearInterval(timer);
  }, [ms]);
  return tick;
}

/** Calls `take` with every row that it has not had yet, oldest first; `begin` where the rows began anew. */
export function newRows(snapshot: FeedSnapshot, lastId: number): Row[] {
  const fresh: Row[] = [];
  for (let i = 0; ; i++) {
    const row = snapshot.rows.fromNewest(i);
    if (!row || row.id <= lastId) break;
    fresh.push(row);
  }
  return fresh.reverse();
}

interface MapWork {
  readonly key: string;
  readonly builder: MapBuilder;
  lastId: number;
  /** When the newest row came, on this machine's clock. */
  heardAt: number;
}

/** The map of what the feed holds; its rates go down while nothing comes. */
export function useServiceMap(snapshot: FeedSnapshot, grouping: Grouping, period: Period | null): ServiceMap {
  const tick = useTick(1000);
  const work = useRef<MapWork | null>(null);
  const [map, setMap] = useState<ServiceMap>({ nodes: [], edges: [] });
  useEffect(() => {
    const key = `${snapshot.epoch} ${grouping}`;
    if (work.current?.key !== key) {
      const window = period ? period.to - period.from : undefined;
      work.current = { key, builder: new MapBuilder(grouping, window), lastId: -1, heardAt: performance.now() };
    }
    const { builder } = work.current;
    const fresh = newRows(snapshot, work.current.lastId);
    for (const row of fresh) builder.add(row);
    if (fresh.length > 0) {
      work.current.lastId = fresh.at(-1)?.id ?? -1;
      work.current.heardAt = performance.now();
    }
    const silence = period ? 0 : performance.now() - work.current.heardAt;
    setMap(builder.map(builder.newest + silence));
  }, [snapshot, grouping, period, tick]);
  return map;
}

/** An agent that has not answered by then is away. */
const ANSWER_MS = 10_000;

export interface Polled<T> {
  readonly value: T | null;
  readonly problem: ConnectError | null;
}

/** Nobody answered. A server of Hubble's API alone answers that it does not know the question. */
export function isAway({ problem }: Polled<unknown>): boolean {
  return problem !== null && problem.code !== Code.Unimplemented;
}

/** Asks every `ms`, and at once when `key` changes. What was answered stays while nobody answers. */
export function usePolled<T>(ask: (signal: AbortSignal) => Promise<T>, ms: number, key = ""): Polled<T> {
  const [polled, setPolled] = useState<Polled<T>>({ value: null, problem: null });
  const latest = useRef(ask);
  latest.current = ask;
  useEffect(() => {
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const turn = (): void => {
      latest
        .current(AbortSignal.any([stop.signal, AbortSignal.timeout(ANSWER_MS)]))
        .then(
          (value) => setPolled({ value, problem: null }),
          (error: unknown) => {
            if (!stop.signal.aborted) setPolled(({ value }) => ({ value, problem: ConnectError.from(error) }));
          },
        )
        .finally(() => {
          if (!stop.signal.aborted) timer = setTimeout(turn, ms);
        });
    };
    turn();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [ms, key]);
  return polled;
}
