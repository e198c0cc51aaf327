import { type ReactNode, useEffect, useRef } from "react";
import UPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import type { Rates } from "../../model/samples.ts";
import { formatClock } from "../../model/text.ts";

interface PlotProps {
  readonly title: string;
  readonly rates: Rates;
  /** Names of tokens, for each series. */
  readonly colours: readonly string[];
  readonly unit: string;
  /** Over all columns. */
  readonly wide?: boolean;
}

const HEIGHT = 220;

function token(name: string): string {
  // A custom property with light-dark() is only worked out where it is used.
  const probe = document.createElement("span");
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** `time`: seconds since 1970. */
const clockOf = (time: number): string => formatClock(time * 1000).slice(0, 8);

function optionsOf({ rates, colours, unit }: Omit<PlotProps, "title" | "wide">, width: number): UPlot.Options {
  const axis = { stroke: token("--quiet"), grid: { stroke: token("--line"), width: 1 }, ticks: { show: false } };
  const format = (value: number | null | undefined): string =>
    typeof value !== "number" ? "–" : `${Number(value.toFixed(2))} ${unit}`;
  return {
    ...{ width, height: HEIGHT, legend: { live: true }, cursor: { points: { size: 6 } } },
    axes: [
      { ...axis, values: (_plot, times) => times.map(clockOf) },
      { ...axis, size: 52 },
    ],
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, most * 1.15)] } },
    series: [
      {
        label: "Time",
        value: (_plot: UPlot, time: number | null | undefined) => (typeof time !== "number" ? "–" : clockOf(time)),
      },
      ...rates.series.map(({ name }, i) => ({
        ...{ label: name, stroke: token(colours[i % colours.length] ?? "--text"), width: 1.6, points: { show: false } },
        value: (_plot: UPlot, value: number | null | undefined) => format(value),
      })),
    ],
  };
}

/** Without a pointer over it the legend tells the newest. */
function tellNewest(plot: UPlot): void {
  const { length } = plot.data[0];
  if (length > 0 && typeof plot.cursor.idx !== "number") plot.setLegend({ idx: length - 1 });
}

/** Lines over time. Drawn anew where names or the theme change, else only given the numbers. */
export function Plot({ title, rates, colours, unit, wide = false }: PlotProps): ReactNode {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const names = rates.series.map(({ name }) => name).join("\n");
  const data = [rates.times, ...rates.series.map(({ values }) => values)] as unknown as UPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;
  useEffect(() => {
    const element = place.current;
    if (!element) return undefined;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new UPlot(optionsOf({ rates, colours, unit }, element.clientWidth), latest.current, element);
      tellNewest(plot.current);
    };
    draw();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    const themed = new MutationObserver(draw);
    themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      resized.disconnect();
      themed.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [names, unit]);
  useEffect(() => {
    plot.current?.setData(data);
    if (plot.current) tellNewest(plot.current);
  }, [rates]);
  const isCounted = rates.times.length > 1;
  const hasLine = isCounted && rates.series.length > 0;
  const last = rates.series.map(({ name, values }) => `${name} ${Number((values.at(-1) ?? 0).toFixed(2))} ${unit}`);
  return (
    <figure className={`plot${wide ? " wide" : ""}`}>
      <figcaption>{title}</figcaption>
      <div ref={place} role="img" aria-label={`${title}. Now: ${last.join(", ") || "nothing"}`} />
      {hasLine ? null : <p className="plot-empty quiet">{isCounted ? "Nothing yet" : "Measuring …"}</p>}
    </figure>
  );
}
