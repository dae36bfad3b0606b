// CAN frames as a person looks at them: one row for each identifier, with how often it comes and what has changed.
import type { Schemas } from '../../lib/api.svelte';
import { number } from '../../lib/format';

export interface Seen {
  id: string;
  data: string;
  name: string | null;
  values: Record<string, number | string>;
  /** Seconds; null where a recording has no times. */
  time_s: number | null;
  direction: 'tx' | 'rx' | '';
}

export interface Row extends Seen {
  key: string;
  count: number;
  period_ms: number | null;
  /** Which bytes differ from the frame before. */
  changed: boolean[];
}

type Units = Map<string, Map<string, string>>;

const SMOOTH = 0.2;
const QUIET = new Set(['ok', 'not supported']);
/** What says nothing in a frame of many fields. */
const MANY = 8;

export function live(frame: Schemas['FrameAnswer']): Seen {
  return { ...frame, time_s: Date.parse(frame.at) / 1000 };
}

/** Counts a frame; returns the row that it changes. */
export function count(rows: Map<string, Row>, frame: Seen): Row {
  const key = `${frame.id} ${frame.direction}`;
  const before = rows.get(key);
  const row: Row = { ...frame, key, count: 1, period_ms: null, changed: [] };
  if (before !== undefined) {
    row.count = before.count + 1;
    row.changed = bytes(frame.data).map((byte, place) => byte !== before.data.slice(2 * place, 2 * place + 2));
    row.period_ms = before.period_ms;
    if (frame.time_s !== null && before.time_s !== null) {
      const gap = (frame.time_s - before.time_s) * 1000;
      row.period_ms = before.period_ms === null ? gap : before.period_ms + SMOOTH * (gap - before.period_ms);
    }
  }
  rows.set(key, row);
  return row;
}

export function bytes(data: string): string[] {
  return data.match(/../g) ?? [];
}

export function units(formats: Schemas['FormatAnswer'][]): Units {
  return new Map(
    formats.map((format) => [format.id, new Map(format.fields.map((field) => [field.name, field.unit] as const))]),
  );
}

/** What a frame says: each field with its unit, and of many fields only those that are not in order. */
export function values(frame: Seen, known: Units): [string, string][] {
  const all = Object.entries(frame.values);
  const shown = all.length > MANY ? all.filter(([, value]) => !QUIET.has(String(value))) : all;
  return shown.map(([name, value]) => {
    const unit = (known.get(frame.id)?.get(name) ?? '').replace('degC', '°C');
    const text = typeof value === 'number' ? number(value, Number.isInteger(value) ? 0 : 2) : value;
    return [name.replaceAll('_', ' '), unit === '' ? text : `${text}\u00a0${unit}`];
  });
}

/** A recording as `candump -l` writes it, for canplayer and others. */
export function candump(frames: Seen[]): string {
  return frames
    .map((frame) => `(${(frame.time_s ?? 0).toFixed(6)}) can0 ${frame.id.slice(2)}#${frame.data}\n`)
    .join('');
}

/** Cuts a text into pieces of whole lines, none longer than `most` characters where its lines allow that. */
export function* pieces(text: string, most: number): Generator<{ text: string; lines: number }> {
  let lines = 0;
  for (let from = 0; from < text.length;) {
    let to = Math.min(text.length, from + most);
    const end = text.lastIndexOf('\n', to - 1);
    if (to < text.length && end >= from) to = end + 1;
    const piece = text.slice(from, to);
    yield { text: piece, lines };
    lines += piece.split('\n').length - 1;
    from = to;
  }
}
