// What the page has asked for: one request after another, what is in view first, so that a page never takes more than
// one of the few places that the server has for answers like these.
import { api, ApiError, type Schemas } from '../api.svelte';
import type { Overview } from '../live.svelte';
import { choice } from '../words.svelte';
import { CHART_NAMES, type ChartName, CHARTS, chartOf, type DayRecord, isDaily, seriesOf } from './charts';
import { COUNTERS } from './counters';
import {
  dayStart,
  type Frame,
  frameOf,
  frameOfDays,
  type Sample,
  sampleOf,
  total,
  type Value,
  withSamples,
} from './frame';
import { bounded, SPANS_S, type Window } from './range';

export type Event = Schemas['EventRecord'];
export type MonthRecord = Schemas['MonthRecord'];
export type Part = ChartName | 'records' | 'months' | 'counters';

/** What every frame has, for the totals and for the marks. */
const TOTALS = ['charged_wh.sum', 'discharged_wh.sum', 'fresh_s.sum'];
const FRESHNESS = 'freshness.worst';
/** A year of two charts is there in half the time of four. */
const FIRST_CHARTS = 2;
const MOST_EVENTS = 500;
const COUNTER_POINTS = 120;
const AGAIN_MS = 5000;
const KEPT_SAMPLES = 900;
const DAY_S = 86_400;
/** Shorter spans show this many days of records. */
const LEAST_DAYS = 30;
/** What the first page of the table shows. */
const NEWEST_DAYS = 32;

export interface Totals {
  chargedWh: Value;
  dischargedWh: Value;
  freshS: Value;
}

export interface Records {
  days: DayRecord[];
  /** Whether all days of the time are there; else only the newest. */
  whole: boolean;
  /** The same time by month, where it is of years: days would be finer than a screen. */
  months: MonthRecord[] | null;
  socBands: number[];
  temperatureBounds: number[];
  window: Window;
}

class Asked {
  constructor(
    readonly window: Window,
    readonly pack: string | null,
    readonly points: number,
  ) {}
  readonly stop = new AbortController();
  readonly done = new Set<string>();

  /** Returns an answer that is still wanted. */
  async still<T>(answer: Promise<T>): Promise<T> {
    const found = await answer;
    this.stop.signal.throwIfAborted();
    return found;
  }
}

export class HistoryData {
  frames = $state.raw<Partial<Record<ChartName, Frame>>>({});
  /** Of the time that was asked for; null where nothing is known. */
  totals = $state.raw<Totals | null>(null);
  /** Length of a step of the charts. */
  stepS = $state(0);
  /** Of the frames. */
  window = $state.raw<Window | null>(null);
  events = $state.raw<Event[]>([]);
  moreEvents = $state(false);
  fields = $state.raw<Schemas['Fields'] | null>(null);
  records = $state.raw<Records | null>(null);
  months = $state.raw<MonthRecord[] | null>(null);
  counters = $state.raw<Frame | null>(null);
  problem = $state.raw<ApiError | null>(null);
  busy = $state(false);

  private stored: Partial<Record<ChartName, Frame>> = {};
  private visible = new Set<Part>();
  private asked: Asked | null = null;
  private samples: Sample[] = [];
  private shownAt = 0;
  private again: ReturnType<typeof setTimeout> | undefined;

  /** Asks for a time; what is shown stays until the answer is there, unless it is of another pack. */
  ask(window: Window, pack: string | null, points: number): void {
    if (this.asked !== null && this.asked.pack !== pack) this.forget();
    this.stop();
    this.asked = new Asked(bounded(window), pack, points);
    void this.work(this.asked);
  }

  /** Says whether a part of the page is in view. */
  see(part: Part, visible: boolean): void {
    if (!visible) this.visible.delete(part);
    else if (!this.visible.has(part)) {
      this.visible.add(part);
      if (this.asked !== null && !this.busy) void this.work(this.asked);
    }
  }

  /** Takes what the live view says, for the time that is not in the history yet. */
  hear(now: Overview): void {
    const sample = sampleOf(now);
    if (sample.at <= (this.samples[this.samples.length - 1]?.at ?? 0)) return;
    this.samples.push(sample);
    if (this.samples.length > KEPT_SAMPLES) this.samples.shift();
    const stepS = Object.values(this.stored)[0]?.stepS ?? 0;
    if (stepS === 0 || sample.at - this.shownAt < Math.max(2, stepS / 5)) return;
    this.show();
  }

  /** Forgets what the live view said: a range that does not end now is shown. */
  deaf(): void {
    this.samples = [];
  }

  stop(): void {
    clearTimeout(this.again);
    this.asked?.stop.abort();
  }

  private forget(): void {
    this.stored = {};
    this.frames = {};
    this.totals = this.records = this.months = this.counters = null;
  }

  private show(): void {
    this.shownAt = this.samples[this.samples.length - 1]?.at ?? 0;
    const live = this.asked?.pack === null ? this.samples : [];
    this.frames = Object.fromEntries(
      Object.entries(this.stored).map(([name, frame]) => [name, withSamples(frame, live)]),
    );
    this.window = this.asked?.window ?? null;
  }

  private async work(asked: Asked): Promise<void> {
    this.busy = true;
    try {
      for (let next = this.next(asked); next !== null; next = this.next(asked)) await next();
      if (asked !== this.asked) return;
      this.problem = null;
      this.busy = false;
    } catch (error) {
      if (asked.stop.signal.aborted) return;
      this.busy = false;
      if (!(error instanceof ApiError)) throw error;
      this.problem = error;
      if (error.problem.status === 0 || error.problem.status === 503) {
        this.again = setTimeout(() => void this.work(asked), AGAIN_MS);
      }
    }
  }

  /** Returns what is to be done next; null when everything in view is there. */
  private next(asked: Asked): (() => Promise<void>) | null {
    if (asked.stop.signal.aborted) return null;
    const missing = (part: string) => !asked.done.has(part);
    const charts = CHART_NAMES.filter((name) => this.visible.has(name) && missing(name));
    if (asked.done.size === 0) charts.splice(FIRST_CHARTS);
    if (this.isOfDays(asked) && this.visible.has('records') && missing('newest')) return () => this.askNewest(asked);
    const daily = charts.filter((name) => this.isOfDays(asked) && isDaily(CHARTS[name]));
    if (daily.length > 0 || (this.isOfDays(asked) && missing('records'))) return () => this.askRecords(asked);
    if (charts.length > 0 || missing('totals')) return () => this.askSteps(asked, charts);
    if (this.fields === null || this.isEmpty || missing('fields')) {
      if (missing('fields')) return () => this.askFields(asked);
    }
    if (missing('events')) return () => this.askEvents(asked);
    if (this.visible.has('records') && missing('records')) return () => this.askRecords(asked);
    if (this.visible.has('months') && missing('months')) return () => this.askMonths(asked);
    if (this.visible.has('counters') && missing('counters')) return () => this.askCounters(asked);
    return null;
  }

  /** Whether nothing was ever recorded. */
  get isEmpty(): boolean {
    return this.fields !== null && this.fields.levels.every((level) => level.rows === 0);
  }

  /** Whether a time began before what is kept in steps: then the records of days have it. */
  private isOfDays(asked: Asked): boolean {
    const { from, to } = asked.window;
    const longest = this.fields?.levels[this.fields.levels.length - 1];
    if (longest === undefined || longest.oldest === null) return to - from > 2 * SPANS_S['1y'];
    const full = longest.rows >= 0.98 * longest.kept_days * (DAY_S / longest.step_s);
    return to - from > longest.kept_days * DAY_S * 1.01 || (full && from < Date.parse(longest.oldest) / 1000 - DAY_S);
  }

  private query(asked: Asked, series: string[]) {
    const { window, pack } = asked;
    return { from: String(window.from), to: String(window.to), fields: series.join(','), pack };
  }

  private async askSteps(asked: Asked, names: ChartName[]): Promise<void> {
    const charts = names.map((name) => chartOf(CHARTS[name], asked.pack));
    const always = asked.pack === null ? [...TOTALS, FRESHNESS] : TOTALS;
    const series = [...new Set([...always, ...charts.flatMap(seriesOf)])];
    const query = { ...this.query(asked, series), points: asked.points };
    const answer = await asked.still(api.get('/api/history', { query, signal: asked.stop.signal }));
    const frame = frameOf(answer);
    for (const name of names) {
      this.stored[name] = frame;
      asked.done.add(name);
    }
    asked.done.add('totals');
    this.stepS = frame.stepS;
    if (!this.isOfDays(asked)) {
      const [chargedWh = null, dischargedWh = null, freshS = null] = TOTALS.map((series) => total(frame, series));
      this.totals = { chargedWh, dischargedWh, freshS };
    }
    this.show();
  }

  private async askRecords(asked: Asked): Promise<void> {
    const { window } = asked;
    const query = this.daysQuery(asked);
    const answer = await asked.still(api.get('/api/history/days', { query, signal: asked.stop.signal }));
    asked.done.add('records');
    if (this.isOfDays(asked)) {
      const daily = Object.values(CHARTS).filter(isDaily);
      const frame = frameOfDays(answer.days, daily, asked.points);
      for (const { name } of daily) {
        this.stored[name as ChartName] = frame;
        asked.done.add(name);
      }
      const within = answer.days.filter((day) => dayStart(day.day) >= window.from - DAY_S);
      const sum = (value: (day: DayRecord) => number) => within.reduce((all, day) => all + value(day), 0);
      this.totals = {
        chargedWh: sum((day) => day.charged_kwh * 1000),
        dischargedWh: sum((day) => day.discharged_kwh * 1000),
        freshS: sum((day) => day.recorded_h * 3600),
      };
      this.show();
    }
    this.records = {
      days: answer.days,
      whole: true,
      months: asked.done.has('newest') ? (this.records?.months ?? null) : null,
      socBands: answer.soc_bands_percent,
      temperatureBounds: answer.temperature_bounds_c,
      window: { from: Number(query.from), to: Number(query.to) },
    };
  }

  /** Asks for what of ten years is seen at first: the months, and the newest days unless all are there. */
  private async askNewest(asked: Asked): Promise<void> {
    const query = this.daysQuery(asked);
    const from = Math.max(Number(query.from), asked.window.to - NEWEST_DAYS * DAY_S);
    const { signal } = asked.stop;
    const all = asked.done.has('records') ? this.records : null;
    const { months } = await asked.still(api.get('/api/history/months', { query, signal }));
    let shown = all;
    if (all === null) {
      const newest = { ...query, from: String(from) };
      const answer = await asked.still(api.get('/api/history/days', { query: newest, signal }));
      shown = {
        days: answer.days,
        whole: false,
        months,
        socBands: answer.soc_bands_percent,
        temperatureBounds: answer.temperature_bounds_c,
        window: { from: Number(query.from), to: Number(query.to) },
      };
    }
    asked.done.add('newest');
    this.records = shown === null ? null : { ...shown, months };
  }

  private async askMonths(asked: Asked): Promise<void> {
    const answer = await asked.still(
      api.get('/api/history/months', { query: this.daysQuery(asked), signal: asked.stop.signal }),
    );
    asked.done.add('months');
    this.months = answer.months;
  }

  private daysQuery({ window, pack }: Asked): { from: string; to: string; pack: string | null } {
    const from = Math.max(0, Math.min(window.from, window.to - LEAST_DAYS * DAY_S));
    return { from: String(from), to: String(window.to), pack };
  }

  private async askFields(asked: Asked): Promise<void> {
    this.fields = await asked.still(api.get('/api/history/fields', { signal: asked.stop.signal }));
    asked.done.add('fields');
  }

  private async askEvents(asked: Asked): Promise<void> {
    const { from, to } = asked.window;
    const query = { from: String(from), to: String(to), limit: MOST_EVENTS, lang: choice.language };
    const answer = await asked.still(api.get('/api/events', { query, signal: asked.stop.signal }));
    asked.done.add('events');
    this.events = answer.events.filter((event) => event.at !== null).reverse();
    this.moreEvents = answer.next_before !== null;
  }

  private async askCounters(asked: Asked): Promise<void> {
    const series = COUNTERS.map((name) => `${name}.sum`);
    const query = { ...this.query(asked, series), pack: null, points: COUNTER_POINTS };
    this.counters = frameOf(await asked.still(api.get('/api/history', { query, signal: asked.stop.signal })));
    asked.done.add('counters');
  }
}
