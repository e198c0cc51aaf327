import { useEffect, useRef } from "react";
import { type View, views } from "../model/location.ts";

export interface Shortcuts {
  readonly onView: (view: View) => void;
  readonly onFilter: () => void;
  readonly onClose: () => void;
  readonly onPause: () => void;
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest("input, textarea, select") !== null;
}

/** Keys of the whole page: the number of a view, `/` for the filter, space to hold still, Escape to close. */
export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      const { onView, onFilter, onClose, onPause } = latest.current;
      if (event.key === "Escape") return onClose();
      if (isTyping(event.target)) return;
      const view = views[Number(event.key) - 1];
      if (view) onView(view);
      else if (event.key === "/") onFilter();
      else if (event.key === " " && !(event.target instanceof Element && event.target.closest("button, a"))) onPause();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
