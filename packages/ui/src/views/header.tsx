import { type ReactNode, useState } from "react";
import type { skep } from "@skep/api";
import { type View, views } from "../model/location.ts";
import { formatCount, humanName } from "../model/text.ts";
import { Icon, type IconName } from "../parts/icon.tsx";
import type { FeedState } from "../state/feed.ts";
import { isAway, type Polled } from "../state/hooks.ts";
import { storedTheme, storeTheme, type Theme, themes } from "../state/theme.ts";

interface HeaderProps {
  readonly view: View;
  readonly onView: (view: View) => void;
  readonly status: Polled<skep.GetStatusResponse>;
  readonly state: FeedState;
  readonly lost: bigint;
}

const viewIcons: Readonly<Record<View, IconName>> = {
  ...{ map: "map", flows: "flows", policies: "policies", endpoints: "endpoints", services: "services" },
  ...{ identities: "identities", metrics: "metrics", playground: "playground" },
};

const stateTexts: Readonly<Record<FeedState["name"], string>> = {
  ...{ connecting: "Connecting", live: "Live", complete: "Past", lost: "Reconnecting", refused: "Refused" },
};

export function Header({ view, onView, status, state, lost }: HeaderProps): ReactNode {
  const { value } = status;
  const gone = state.name === "lost" || isAway(status);
  return (
    <header className="top">
      <h1>
        <a className="brand" href="/">
          <Icon name="hive" size={22} />
          <span>Skep</span>
        </a>
      </h1>
      <nav aria-label="Views">
        {views.map((name, index) => (
          <button
            key={name}
            type="button"
            className="tab"
            aria-label={humanName(name)}
            {...(view === name ? { "aria-current": "page" as const } : {})}
            title={`${humanName(name)} (${index + 1})`}
            onClick={() => onView(name)}
          >
            <Icon name={viewIcons[name]} />
            <span data-name={humanName(name)}>{humanName(name)}</span>
          </button>
        ))}
      </nav>
      <div className="top-right">
        {lost > 0n ? <span className="pill warn">{formatCount(lost)} lost</span> : null}
        {value ? (
          <span className="node-name" title={`skep ${value.version} on ${value.machine}`}>
            {value.nodeName}
          </span>
        ) : null}
        <span className={`pill ${gone ? "lost" : state.name}`} role="status">
          <span className="dot" />
          {gone ? stateTexts.lost : stateTexts[state.name]}
        </span>
        <ThemeButton />
      </div>
    </header>
  );
}

const themeIcons: Readonly<Record<Theme, IconName>> = { system: "screen", light: "sun", dark: "moon" };

function ThemeButton(): ReactNode {
  const [theme, setTheme] = useState(storedTheme);
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? "system";
  return (
    <button
      type="button"
      className="quiet-button"
      aria-label={`Theme: ${theme}. Change to ${next}`}
      title={`Theme: ${theme}`}
      onClick={() => {
        storeTheme(next);
        setTheme(next);
      }}
    >
      <Icon name={themeIcons[theme]} />
    </button>
  );
}
