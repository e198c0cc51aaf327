/** The address of the page as state: what changes it is a step of the browser's history. */
import { useCallback, useSyncExternalStore, useMemo } from "react";
import { formatPlace, parsePlace, type Place } from "../model/location.ts";

function subscribe(listener: () => void): () => void {
  window.addEventListener("popstate", listener);
  return () => window.removeEventListener("popstate", listener);
}

const search = (): string => window.location.search;

export type Go = (change: Partial<Place>, how?: "push" | "replace") => void;

export function usePlace(): readonly [Place, Go] {
  const text = useSyncExternalStore(subscribe, search);
  const place = useMemo(() => parsePlace(text), [text]);
  const go = useCallback<Go>((change, how = "push") => {
    const next = formatPlace({ ...parsePlace(search()), ...change });
    if (next === search()) return;
    window.history[how === "push" ? "pushState" : "replaceState"](null, "", `${window.location.pathname}${next}`);
    window.dispatchEvent(new PopStateEvent("popstate"));
  }, []);
  return [place, go];
}
