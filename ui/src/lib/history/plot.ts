// How uPlot draws a chart: lines, the band between least and greatest values, limits, marks of events and of held data.
import type uPlot from 'uplot';
import { number } from '../format';
import type { Chart } from './charts';
import { type Colours, faint, type Token } from './colours.svelte';
import type { Frame, Value } from './frame';
import { axisTimes } from './times';

export type Plot = typeof uPlot;

/** Width of the axis at the left and of the room at the right, the same in every chart, so that times are in line. */
export const LEFT = 58;
export const RIGHT = 12;
const HELD_HEIGHT = 6;
const NEAR_PX = 6;
const EVENT_HEIGHT = 9;
const SYNC = 'tinybms-history';

export interface Trace {
  series: string;
  colour: Token;
  sign: number;
  dash?: number[];
  width: number;
  bars: boolean;
  /** A least or greatest value. */
  edge: boolean;
}

/** Returns what is drawn of a chart: its lines that have values, then the greatest and the least values. */
export function tracesOf(chart: Chart, frame: Frame, hidden: ReadonlySet<string>): Trace[] {
  const known = (series: string | undefined) => series !== undefined && series in frame.columns;
  const lines = chart.lines
    .filter((line) => known(line.series) && !hidden.has(line.series))
    .map((line) => ({
      series: line.series,
      colour: line.colour,
      sign: line.below ? -1 : 1,
      ...(line.dash ? { dash: line.dash } : {}),
      width: line.bars ? 0 : 1.8,
      bars: line.bars ?? false,
      edge: false,
    }));
  // A record of a day has no mean, so that its extremes are the lines.
  const width = frame.ofDays ? 1.2 : 0;
  const edges = [chart.high, chart.low].filter((series): series is string => known(series));
  return [
    ...lines,
    ...edges.map((series) => ({ series, colour: edgeColour(chart, series), sign: 1, width, bars: false, edge: true })),
  ];
}

/** An extreme has the colour of the line of the same field. */
function edgeColour(chart: Chart, series: string): Token {
  const [field] = series.split('.');
  return chart.lines.find((line) => line.series.split('.')[0] === field)?.colour ?? 'accent';
}

/** Returns the columns as uPlot takes them: the middle of each step, then each trace. */
export function dataOf(chart: Chart, frame: Frame, traces: readonly Trace[]): uPlot.AlignedData {
  const half = frame.stepS / 2;
  const { factor } = chart;
  return [
    frame.times.map((at) => at + half),
    ...traces.map(({ series, sign }) =>
      (frame.columns[series] ?? []).map((value: Value) => (value === null ? null : value * factor * sign)),
    ),
  ];
}

export interface Marks {
  /** Undefined while none is loaded. */
  frame: Frame | undefined;
  /** Times of the events. */
  events: readonly number[];
}

export interface Handlers {
  colours: () => Colours;
  marks: () => Marks;
  /** The place of the step at the cursor, and the events beside it. */
  onCursor: (place: number | null, near: number[]) => void;
  onSelect: (from: number, to: number) => void;
  onDrawn: () => void;
}

/** Returns the options of a chart of a size. */
export function optionsOf(
  plot: Plot,
  chart: Chart,
  traces: readonly Trace[],
  size: { width: number; height: number },
  on: Handlers,
): uPlot.Options {
  const colour = (token: Token) => () => on.colours()[token];
  const edges = traces.flatMap((trace, place) => (trace.edge ? [place + 1] : []));

  const axis: uPlot.Axis = {
    stroke: colour('quiet'),
    font: '12px system-ui, sans-serif',
    grid: { stroke: colour('line'), width: 1 },
    ticks: { stroke: colour('line'), width: 1, size: 4 },
  };
  return {
    ...size,
    padding: [8, RIGHT, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: true, y: false, setScale: false, dist: 8 },
      points: { size: 7, fill: (u, place) => String(stroke(u, place)) },
      bind: { dblclick: () => () => null },
      sync: { key: SYNC, filters: { pub: (type) => type === 'mousemove' || type === 'mouseleave' } },
    },
    scales: { x: { time: true }, y: { range: (_, least, most) => axisRange(plot, chart, least, most) } },
    axes: [
      { ...axis, size: 34, space: 74, values: (_, splits, _axis, _space, stepS) => axisTimes(splits, stepS) },
      {
        ...axis,
        size: LEFT,
        values: (_, splits, _axis, _space, step) => {
          const decimals = Math.max(0, Math.min(3, Math.ceil(-Math.log10(step) - 1e-9)));
          return splits.map((each) => number(each, decimals));
        },
      },
    ],
    series: [
      {},
      ...traces.map((trace): uPlot.Series => {
        const paths = trace.bars ? plot.paths.bars?.({ size: [0.7, 48, 1], align: 0 }) : undefined;
        return {
          stroke: trace.width > 0 || trace.bars ? colour(trace.colour) : 'transparent',
          width: trace.width,
          points: { size: 4, ...(trace.width > 0 ? {} : { show: false }) },
          ...(trace.bars ? { fill: colour(trace.colour) } : {}),
          ...(trace.dash ? { dash: trace.dash } : {}),
          ...(paths ? { paths } : {}),
        };
      }),
    ],
    bands:
      edges.length === 2
        ? [{ series: edges as [number, number], fill: () => faint(on.colours()[traces[0]?.colour ?? 'accent'], 0.22) }]
        : [],
    hooks: {
      draw: [(u) => drawMarks(u, on.colours(), on.marks()), on.onDrawn],
      setCursor: [
        (u) => {
          const left = u.cursor.left ?? -1;
          const near = left < 0 ? [] : nearest(u, on.marks().events, left);
          on.onCursor(left < 0 ? null : (u.cursor.idx ?? null), near);
        },
      ],
      setSelect: [
        (u) => {
          const { left, width } = u.select;
          if (width < 8) return;
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          on.onSelect(u.posToVal(left, 'x'), u.posToVal(left + width, 'x'));
        },
      ],
    },
  };

  function stroke(u: uPlot, place: number): CanvasRenderingContext2D['strokeStyle'] {
    const found = u.series[place]?.stroke;
    return typeof found === 'function' ? found(u, place) : (found ?? 'transparent');
  }
}

/** Puts the cursor of every chart to the time at a place of this one. */
export function placeCursor(u: uPlot, left: number): void {
  // The types of uPlot do not know that it publishes.
  const publishing = u as unknown as { setCursor(to: object, fire: boolean, publish: boolean): void };
  publishing.setCursor({ left, top: left < 0 ? -10 : u.over.clientHeight / 2 }, true, true);
}

function axisRange(plot: Plot, chart: Chart, least: number | null, most: number | null): [number, number] {
  const low = Math.min(least ?? chart.axis.least ?? 0, chart.axis.least ?? Infinity);
  const high = Math.max(most ?? chart.axis.most ?? 1, chart.axis.most ?? -Infinity);
  if (chart.axis.least === low && chart.axis.most === high && low < high) return [low, high];
  const [from, to] = plot.rangeNum(low, high, 0.1, true);
  // An axis of what is never negative begins at 0.
  return [chart.axis.least === 0 && low === 0 ? 0 : (from ?? low), to ?? high];
}

function nearest(u: uPlot, events: readonly number[], left: number): number[] {
  return events.flatMap((at, place) => (Math.abs(u.valToPos(at, 'x') - left) <= NEAR_PX ? [place] : []));
}

function drawMarks(u: uPlot, colours: Colours, { frame, events }: Marks): void {
  const { ctx, bbox } = u;
  const ratio = devicePixelRatio || 1;
  const right = bbox.left + bbox.width;
  ctx.save();
  frame?.held.forEach((held, place) => {
    if (held === null) return;
    const at = frame.times[place] ?? 0;
    const from = Math.max(bbox.left, u.valToPos(at, 'x', true));
    const to = Math.min(right, u.valToPos(at + frame.stepS, 'x', true));
    if (to <= from) return;
    ctx.fillStyle = colours[held === 'HOLD' ? 'warning-fill' : 'alarm-fill'];
    const height = HELD_HEIGHT * ratio;
    ctx.fillRect(from, bbox.top + bbox.height - height, Math.max(ratio, to - from), height);
  });
  ctx.strokeStyle = faint(colours.text, 0.7);
  ctx.lineWidth = 1.5 * ratio;
  ctx.beginPath();
  for (const at of events) {
    const x = Math.round(u.valToPos(at, 'x', true)) + 0.5;
    if (x < bbox.left || x > right) continue;
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + EVENT_HEIGHT * ratio);
  }
  ctx.stroke();
  ctx.restore();
}
