// What the charts show: series of the API by name, how they are drawn, and what stands for them in a record of a day.
import type { Schemas } from '../api.svelte';
import type { Overview } from '../live.svelte';
import type words from '../../generated/words/history';

export type DayRecord = Schemas['DayRecord'];
export type Colour = 'accent' | 'charge' | 'discharge' | 'warning' | 'alarm' | 'quiet' | 'good';

export interface Line {
  /** Series of the API. */
  series: string;
  /** Its name in the words of the page. */
  word: keyof (typeof words)['en'];
  colour: Colour;
  dash?: number[];
  /** Drawn below zero, since it limits what flows out. */
  below?: boolean;
  /** There is none of a pack alone. */
  ofBattery?: boolean;
  bars?: boolean;
}

export interface Chart {
  name: ChartName | 'energy';
  unit: string;
  decimals: number;
  /** From the unit of the API. */
  factor: number;
  lines: readonly Line[];
  /** Least and greatest values, drawn as a band. */
  low?: string;
  high?: string;
  /** Always part of the axis. */
  axis: { least?: number; most?: number };
}

export const CHART_NAMES = [
  'power',
  'soc',
  'voltage',
  'current',
  'cells',
  'spread',
  'temperature',
  'link',
  'latency',
] as const;
export type ChartName = (typeof CHART_NAMES)[number];

const LIMIT_DASH = [6, 4];

export const CHARTS: Record<ChartName, Chart> = {
  power: {
    name: 'power',
    unit: 'W',
    decimals: 0,
    factor: 1,
    lines: [{ series: 'power_w.mean', word: 'power', colour: 'accent' }],
    low: 'power_w.min',
    high: 'power_w.max',
    axis: { least: 0, most: 0 },
  },
  soc: {
    name: 'soc',
    unit: '%',
    decimals: 1,
    factor: 1,
    lines: [
      { series: 'soc_percent.mean', word: 'soc', colour: 'accent' },
      { series: 'bms_soc_percent.mean', word: 'bms_soc', colour: 'quiet', dash: [2, 4], ofBattery: true },
    ],
    low: 'soc_percent.min',
    high: 'soc_percent.max',
    axis: { least: 0, most: 100 },
  },
  voltage: {
    name: 'voltage',
    unit: 'V',
    decimals: 2,
    factor: 1,
    lines: [
      { series: 'voltage_v.mean', word: 'voltage', colour: 'accent' },
      { series: 'cvl_v.mean', word: 'cvl', colour: 'warning', dash: LIMIT_DASH, ofBattery: true },
    ],
    low: 'voltage_v.min',
    high: 'voltage_v.max',
    axis: {},
  },
  current: {
    name: 'current',
    unit: 'A',
    decimals: 1,
    factor: 1,
    lines: [
      { series: 'current_a.mean', word: 'current', colour: 'accent' },
      { series: 'ccl_a.mean', word: 'ccl', colour: 'charge', dash: LIMIT_DASH, ofBattery: true },
      { series: 'dcl_a.mean', word: 'dcl', colour: 'discharge', dash: LIMIT_DASH, below: true, ofBattery: true },
    ],
    low: 'current_a.min',
    high: 'current_a.max',
    axis: { least: 0, most: 0 },
  },
  cells: {
    name: 'cells',
    unit: 'V',
    decimals: 3,
    factor: 0.001,
    lines: [
      { series: 'lowest_cell_mv.mean', word: 'lowest_cell', colour: 'discharge' },
      { series: 'highest_cell_mv.mean', word: 'highest_cell', colour: 'accent' },
    ],
    low: 'lowest_cell_mv.min',
    high: 'highest_cell_mv.max',
    axis: {},
  },
  spread: {
    name: 'spread',
    unit: 'mV',
    decimals: 1,
    factor: 1,
    lines: [{ series: 'cell_delta_mv.mean', word: 'spread', colour: 'accent' }],
    low: 'cell_delta_mv.min',
    high: 'cell_delta_mv.max',
    axis: { least: 0, most: 10 },
  },
  temperature: {
    name: 'temperature',
    unit: '°C',
    decimals: 1,
    factor: 1,
    lines: [
      { series: 'coldest_c.mean', word: 'coldest', colour: 'accent' },
      { series: 'hottest_c.mean', word: 'hottest', colour: 'discharge' },
    ],
    low: 'coldest_c.min',
    high: 'hottest_c.max',
    axis: {},
  },
  link: {
    name: 'link',
    unit: '%',
    decimals: 2,
    factor: 1,
    lines: [{ series: 'uart_failed_percent.mean', word: 'link', colour: 'alarm', ofBattery: true }],
    axis: { least: 0, most: 1 },
  },
  latency: {
    name: 'latency',
    unit: 'ms',
    decimals: 1,
    factor: 1,
    lines: [{ series: 'latency_ms.mean', word: 'latency', colour: 'accent', ofBattery: true }],
    low: 'latency_ms.min',
    high: 'latency_ms.max',
    axis: { least: 0 },
  },
};

/** Energy of days or months: one bar up and one down. */
export const ENERGY: Chart = {
  name: 'energy',
  unit: 'kWh',
  decimals: 2,
  factor: 1,
  lines: [
    { series: 'charged_kwh', word: 'energy_in', colour: 'charge', bars: true },
    { series: 'discharged_kwh', word: 'energy_out', colour: 'discharge', bars: true, below: true },
  ],
  axis: { least: 0, most: 0 },
};

/** What each series is in the record of a day; the others are not kept that long. */
export const OF_DAY: Readonly<Record<string, (day: DayRecord) => number | null>> = {
  'power_w.min': (day) => below(day.discharge_power_max_w),
  'power_w.max': (day) => day.charge_power_max_w,
  'soc_percent.min': (day) => day.soc_min_percent,
  'soc_percent.max': (day) => day.soc_max_percent,
  'voltage_v.min': (day) => day.voltage_min_v,
  'voltage_v.max': (day) => day.voltage_max_v,
  'current_a.min': (day) => below(day.discharge_current_max_a),
  'current_a.max': (day) => day.charge_current_max_a,
  'lowest_cell_mv.min': (day) => day.cell_min?.voltage_mv ?? null,
  'highest_cell_mv.max': (day) => day.cell_max?.voltage_mv ?? null,
  'cell_delta_mv.max': (day) => day.cell_delta_max_mv,
  'coldest_c.min': (day) => day.temperature_min_c,
  'hottest_c.max': (day) => day.temperature_max_c,
};

function below(value: number | null): number | null {
  return value === null ? null : value === 0 ? 0 : -value;
}

/** What each field is in the live view. */
export const OF_NOW: Readonly<Record<string, (now: Overview) => number | null>> = {
  power_w: (now) => now.power_w,
  soc_percent: (now) => now.soc_percent,
  bms_soc_percent: (now) => now.bms_soc_percent,
  voltage_v: (now) => now.voltage,
  cvl_v: (now) => now.limits.cvl.value,
  current_a: (now) => now.current,
  ccl_a: (now) => now.limits.ccl.value,
  dcl_a: (now) => now.limits.dcl.value,
  lowest_cell_mv: (now) => now.min_cell_mv,
  highest_cell_mv: (now) => now.max_cell_mv,
  cell_delta_mv: (now) => now.cell_imbalance_mv,
};

/** Returns the chart as there is one of a pack, or of the battery. */
export function chartOf(chart: Chart, pack: string | null): Chart {
  return pack === null ? chart : { ...chart, lines: chart.lines.filter((line) => !line.ofBattery) };
}

/** Returns the series that a chart asks the API for. */
export function seriesOf(chart: Chart): string[] {
  return [...chart.lines.map((line) => line.series), chart.low, chart.high].filter((each) => each !== undefined);
}

/** Returns whether the records of days have anything of a chart. */
export function isDaily(chart: Chart): boolean {
  return seriesOf(chart).some((series) => series in OF_DAY);
}
