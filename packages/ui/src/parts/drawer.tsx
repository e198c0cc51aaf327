import { type ReactNode, useEffect, useRef } from "react";
import { Icon } from "./icon.tsx";

interface DrawerProps {
  readonly title: ReactNode;
  /** Read out as its name. */
  readonly label: string;
  readonly onClose: () => void;
  readonly children: ReactNode;
}

/** Details beside what they are about. Escape closes it. */
export function Drawer({ title, label, onClose, children }: DrawerProps): ReactNode {
  const place = useRef<HTMLElement>(null);
  useEffect(() => {
    place.current?.scrollTo({ top: 0 });
  }, [label]);
  return (
    <aside className="drawer" aria-label={label} ref={place} tabIndex={0}>
      <header className="drawer-head">
        <h2>{title}</h2>
        <button type="button" className="quiet-button" aria-label="Close details" onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      {children}
    </aside>
  );
}

/** Names and values. */
export function Facts({ facts }: { readonly facts: readonly (readonly [string, ReactNode])[] }): ReactNode {
  return (
    <dl className="facts">
      {facts
        .filter(([, value]) => value !== "" && value !== null)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
