// Values in columns over steps of equal length: what a chart draws, its table shows and its sentence tells.
import type { Schemas } from '../api.svelte';
import type { Overview } from '../live.svelte';
import { type Chart, type DayRecord, OF_DAY, OF_NOW, seriesOf } from './charts';

export type Value = number | null;
export type Held = 'HOLD' | 'SILENT' | null;

export interface Frame {
  stepS: number;
  /** Beginning of each step. */
  times: number[];
  columns: Record<string, Value[]>;
  /** Where the data was not fresh. */
  held: Held[];
  /** Made of the records of days, which have extremes only. */
  ofDays: boolean;
}

const DAY_S = 86_400;

/** Returns the frame of an answer of the API. */
export function frameOf(answer: Schemas['HistoryAnswer']): Frame {
  const columns: Record<string, Value[]> = {};
  for (const [field, series] of Object.entries(answer.fields)) {
    for (const [name, values] of Object.entries(series)) columns[`${field}.${name}`] = values as Value[];
  }
  const worst = (answer.fields.freshness?.worst ?? []) as (string | null)[];
  const held = answer.times.map((_, place) => heldOf(worst[place]));
  return { stepS: answer.step_s, times: answer.times, columns, held, ofDays: false };
}

function heldOf(freshness: string | null | undefined): Held {
  return freshness === 'HOLD' || freshness === 'SILENT' ? freshness : null;
}

/** Returns the beginning of a day where this browser is. */
export function dayStart(day: string): number {
  const [year = 1970, month = 1, date = 1] = day.slice(0, 10).split('-').map(Number);
  return new Date(year, month - 1, date).getTime() / 1000;
}

/** Returns a frame of the records of days, in order, in at most `points` steps; a step without a record is a gap. */
export function frameOfDays(days: readonly DayRecord[], charts: readonly Chart[], points: number): Frame {
  const numbers = days.map((day) => Date.parse(day.day) / 1000 / DAY_S);
  const first = numbers[0] ?? 0;
  const count = days.length === 0 ? 0 : (numbers[numbers.length - 1] ?? 0) - first + 1;
  const each = Math.max(1, Math.ceil(count / points));
  const groups: DayRecord[][] = Array.from({ length: Math.ceil(count / each) }, () => []);
  days.forEach((day, place) => groups[Math.floor(((numbers[place] ?? 0) - first) / each)]?.push(day));
  const times = groups.map((_, place) => dayStart(new Date((first + place * each) * DAY_S * 1000).toISOString()));
  const columns: Record<string, Value[]> = {};
  for (const series of new Set(charts.flatMap(seriesOf))) {
    const value = OF_DAY[series];
    if (value === undefined) continue;
    const extreme = series.endsWith('.min') ? Math.min : Math.max;
    columns[series] = groups.map((group) => {
      const known = group.map(value).filter((found) => found !== null);
      return known.length === 0 ? null : extreme(...known);
    });
  }
  const held = groups.map((group): Held => {
    if (group.some((day) => (day.silent_h ?? 0) > 0)) return 'SILENT';
    return group.some((day) => (day.hold_h ?? 0) > 0) ? 'HOLD' : null;
  });
  return { stepS: each * DAY_S, times, columns, held, ofDays: true };
}

/** The values of one second of the live view. */
export interface Sample {
  at: number;
  values: Record<string, Value>;
  held: Held;
}

export function sampleOf(now: Overview): Sample {
  const values = Object.fromEntries(Object.entries(OF_NOW).map(([field, value]) => [field, value(now)]));
  return { at: Date.parse(now.at) / 1000, values, held: heldOf(now.freshness) };
}

/** Returns a frame with samples in the steps that are not in the history yet. */
export function withSamples(frame: Frame, samples: readonly Sample[]): Frame {
  const first = frame.times[0];
  const last = samples[samples.length - 1];
  if (first === undefined || last === undefined || frame.ofDays) return frame;
  const place = (at: number) => Math.floor((at - first) / frame.stepS);
  const count = Math.max(frame.times.length, place(last.at) + 1);
  const times = Array.from({ length: count }, (_, each) => first + each * frame.stepS);
  const held = times.map((_, each) => frame.held[each] ?? null);
  for (const sample of samples) if (sample.held !== null) held[place(sample.at)] = sample.held;
  const columns: Record<string, Value[]> = {};
  for (const [series, values] of Object.entries(frame.columns)) {
    const longer = times.map((_, each) => values[each] ?? null);
    const [field = '', how] = series.split('.');
    const found = new Map<number, number[]>();
    if (field in OF_NOW) {
      for (const sample of samples) {
        const at = place(sample.at);
        const value = sample.values[field] ?? null;
        if (value === null || at < 0 || (values[at] ?? null) !== null) continue;
        const here = found.get(at);
        if (here === undefined) found.set(at, [value]);
        else here.push(value);
      }
    }
    for (const [at, all] of found) longer[at] = united(all, how);
    columns[series] = longer;
  }
  return { ...frame, times, held, columns };
}

function united(values: readonly number[], how: string | undefined): number {
  if (how === 'min') return Math.min(...values);
  if (how === 'max') return Math.max(...values);
  return values.reduce((sum, each) => sum + each, 0) / values.length;
}

export interface Summary {
  least: number;
  leastAt: number;
  most: number;
  mostAt: number;
  /** Null where only extremes are kept, and where least and greatest value are of two things. */
  mean: number | null;
  last: number;
  lastAt: number;
}

/** Returns least, most, mean and last value of a chart within a time, in the unit of the chart; null where none is. */
export function summary(frame: Frame, chart: Chart, from: number, to: number): Summary | null {
  const line = chart.lines[0]?.series ?? '';
  const means = frame.columns[line];
  const low = frame.columns[chart.low ?? line] ?? means ?? frame.columns[chart.high ?? ''];
  const high = frame.columns[chart.high ?? line] ?? means ?? low;
  if (low === undefined || high === undefined) return null;
  let found: Summary | null = null;
  let sum = 0;
  let count = 0;
  frame.times.forEach((at, place) => {
    if (at + frame.stepS <= from || at >= to) return;
    const mean = means?.[place] ?? null;
    const least = low[place] ?? mean;
    const most = high[place] ?? mean;
    if (least === null || most === null) return;
    found ??= { least, leastAt: at, most, mostAt: at, mean: null, last: most, lastAt: at };
    if (least < found.least) Object.assign(found, { least, leastAt: at });
    if (most > found.most) Object.assign(found, { most, mostAt: at });
    Object.assign(found, { last: mean ?? most, lastAt: at });
    if (mean !== null) {
      sum += mean;
      count += 1;
    }
  });
  const whole = found as Summary | null;
  if (whole === null) return null;
  const { factor } = chart;
  const ofOne = new Set([line, chart.low, chart.high].flatMap((each) => each?.split('.')[0] ?? [])).size === 1;
  return {
    ...whole,
    least: whole.least * factor,
    most: whole.most * factor,
    last: whole.last * factor,
    mean: count === 0 || !ofOne ? null : (sum / count) * factor,
  };
}

/** Returns the sum of a column; null where nothing is known. */
export function total(frame: Frame, series: string): Value {
  const known = (frame.columns[series] ?? []).filter((each) => each !== null);
  return known.length === 0 ? null : known.reduce((sum, each) => sum + each, 0);
}
