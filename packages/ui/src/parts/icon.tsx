import type { ReactNode } from "react";

const shapes = {
  hive: (
    <>
      <path d="M8 1.2c4 0 6 5 6 12.6H2C2 6.200 4 1.200 8 1.200z" fill="var(--honey)" />
      <path d="M4 6h8M3 10h10M6.200 13.800v-2.200h3.600v2.200" stroke="#5b3a00" fill="none" />
    </>
  ),
  map: <path d="M2.500 4.500h4v3h-4zM9.500 2.500h4v3h-4zM9.500 10.500h4v3h-4zM6.500 6h1.500v6h1.500M8 4h1.500" />,
  flows: <path d="M2 4.500h9.500M9 2l2.500 2.500L9 7M14 11.500H4.500M7 9l-2.500 2.500L7 14" />,
  policies: (
    <path d="M8 1.800l5 2v4c0 3.200-2.200 5.300-5 6.400-2.800-1.100-5-3.200-5-6.400v-4zM5.800 8l1.600 1.600 2.900-3" />
  ),
  endpoints: <path d="M2.500 2.500h11v4h-11zM2.500 9.500h11v4h-11zM5 4.500h.01M5 11.500h.01" />,
  services: (
    <path d="M8 2v3.500M8 5.500L3.500 10M8 5.500l4.500 4.500M2 10.500h3v3H2zM11 10.500h3v3h-3zM6.500 1.500h3v3h-3z" />
  ),
  identities: (
    <path d="M8 8.200a2.600 2.600 0 1 0 0-5.200 2.600 2.600 0 0 0 0 5.200zM3 13.500c.6-2.600 2.500-3.800 5-3.800s4.400 1.200 5 3.800" />
  ),
  metrics: <path d="M2.500 2v11.500H14M5 10.500l2.500-3.500 2 1.800L13 4.500" />,
  playground: <path d="M5.500 4.500L2 8l3.500 3.500M10.500 4.500L14 8l-3.500 3.500M9 3L7 13" />,
  globe: (
    <path d="M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM2 8h12M8 2c2 1.700 2.800 3.700 2.800 6S10 12.300 8 14C6 12.300 5.200 10.300 5.200 8S6 3.700 8 2z" />
  ),
  box: <path d="M8 1.800l5.500 3v6.400L8 14.200l-5.500-3V4.800zM2.500 4.800L8 7.800l5.500-3M8 7.800v6.400" />,
  sun: (
    <path d="M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1.500v1.500M8 13v1.500M1.500 8H3M13 8h1.500M3.400 3.400l1 1M11.600 11.600l1 1M12.600 3.400l-1 1M4.400 11.600l-1 1" />
  ),
  moon: <path d="M13.500 9.500A5.800 5.800 0 0 1 6.500 2.500a5.800 5.800 0 1 0 7 7z" />,
  screen: <path d="M2 3h12v8H2zM6 13.500h4M8 11v2.500" />,
  close: <path d="M4 4l8 8M12 4l-8 8" />,
  plus: <path d="M8 3v10M3 8h10" />,
  minus: <path d="M3 8h10" />,
  fit: <path d="M2.500 6V2.500H6M10 2.500h3.500V6M13.500 10v3.500H10M6 13.500H2.500V10" />,
  pause: <path d="M5.500 3v10M10.500 3v10" />,
  play: <path d="M4.500 3l8 5-8 5z" />,
  search: <path d="M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.300 10.300l3.200 3.200" />,
  arrow: <path d="M2.500 8h11M9.500 4l4 4-4 4" />,
  back: <path d="M13.500 8h-11M6.500 4l-4 4 4 4" />,
  block: <path d="M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM3.800 3.800l8.400 8.400" />,
  check: <path d="M3 8.500l3.500 3.500L13 4.500" />,
  warn: <path d="M8 2l6.500 11.500h-13zM8 6.500v3M8 11.500h.01" />,
  help: <path d="M6 6a2 2 0 1 1 2.800 1.800c-.6.300-.8.700-.8 1.400M8 11.500h.01M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2z" />,
} as const satisfies Record<string, ReactNode>;

export type IconName = keyof typeof shapes;

/** Decoration: what it means stands beside it, or in the name of its button. */
export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }): ReactNode {
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" focusable="false">
      {shapes[name]}
    </svg>
  );
}
