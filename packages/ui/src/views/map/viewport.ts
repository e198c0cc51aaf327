import { type RefObject, useCallback, useEffect, useRef, useState } from "react";
import type { MapLayout } from "../../model/layout.ts";

/** Where the map stands in its window, and how large. */
export interface Viewport {
  readonly x: number;
  readonly y: number;
  readonly scale: number;
}

const MIN = 0.2;
const MAX = 1.6;
const PAD = 40;

function clampScale(scale: number): number {
  return Math.min(MAX, Math.max(MIN, scale));
}

/** The whole of it, in the middle; never larger than it is. */
export function fitted({ width, height }: MapLayout, room: { width: number; height: number }): Viewport {
  const scale = clampScale(Math.min(1, (room.width - PAD * 2) / (width || 1), (room.height - PAD * 2) / (height || 1)));
  return { x: (room.width - width * scale) / 2, y: (room.height - height * scale) / 2, scale };
}

export interface ViewportControls {
  readonly viewport: Viewport;
  readonly fit: () => void;
  readonly zoom: (factor: number) => void;
  readonly pan: (dx: number, dy: number) => void;
}

/** Fits the map until somebody moves it. */
export function useViewport(place: RefObject<HTMLElement | null>, layout: MapLayout): ViewportControls {
  const [viewport, setViewport] = useState<Viewport>({ x: 0, y: 0, scale: 1 });
  const moved = useRef(false);
  const zoomAt = useCallback((factor: number, at: { x: number; y: number }) => {
    moved.current = true;
    setViewport(({ x, y, scale }) => {
      const next = clampScale(scale * factor);
      const ratio = next / scale;
      return { x: at.x - (at.x - x) * ratio, y: at.y - (at.y - y) * ratio, scale: next };
    });
  }, []);
  const fit = useCallback(() => {
    moved.current = false;
    const room = place.current?.getBoundingClientRect();
    if (room && room.width > 0) setViewport(fitted(layout, room));
  }, [place, layout]);
  const pan = useCallback((dx: number, dy: number) => {
    moved.current = true;
    setViewport((before) => ({ ...before, x: before.x + dx, y: before.y + dy }));
  }, []);
  const zoom = useCallback(
    (factor: number) => {
      const room = place.current?.getBoundingClientRect();
      if (room) zoomAt(factor, { x: room.width / 2, y: room.height / 2 });
    },
    [place, zoomAt],
  );
  useEffect(() => {
    if (!moved.current) fit();
  }, [fit]);
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => {
      if (!moved.current) fit();
    });
    observer.observe(element);
    // React's own wheel events are passive: the page would scroll too.
    const onWheel = (event: WheelEvent): void => {
      event.preventDefault();
      const room = element.getBoundingClientRect();
      zoomAt(Math.exp(-event.deltaY * 0.0015), { x: event.clientX - room.left, y: event.clientY - room.top });
    };
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => {
      observer.disconnect();
      element.removeEventListener("wheel", onWheel);
    };
  }, [place, fit, zoomAt]);
  return { viewport, fit, zoom, pan };
}
