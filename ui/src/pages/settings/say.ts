// Values in words: of a key, of a difference, of a choice.
import words from '../../generated/words/settings';
import { speaker } from '../../lib/words.svelte';
import { exact, MASK, same } from './keys';
import type { Json, Key } from './keys';

export const t = speaker(words);

/** A value as people read it. */
export function said(key: Key | undefined, value: Json): string {
  if (value === MASK) return t('secret_set');
  if (key?.kind === 'secret') return value === '' || value === null ? t('secret_none') : t('secret_set');
  if (value === null) return t('automatic');
  if (typeof value === 'boolean') return t(value ? 'on' : 'off');
  if (key?.kind === 'choice') return withUnit(choiceOf(key, value as string | number), key);
  if (typeof value === 'number') return withUnit(key?.path.endsWith('port') ? String(value) : exact(value), key);
  if (key?.kind === 'curve') return pointsOf(key, value as [number, number][]);
  if (Array.isArray(value)) return value.length === 0 ? t('empty') : value.join(', ');
  if (typeof value === 'object') {
    const entries = Object.entries(value).map(([name, each]) => `${name} = ${String(each)}`);
    return entries.length === 0 ? t('empty') : entries.join(', ');
  }
  if (key?.kind === 'long' && value !== '') return t('text_lines', { n: value.trim().split('\n').length });
  return value === '' ? t('empty') : value;
}

/** The points of a curve in one line. */
export function pointsOf(key: Key, points: [number, number][]): string {
  if (points.every(([, part]) => same(part, 1))) return t('curve_level');
  return points.map(([x, part]) => `${withUnit(exact(x), key)} → ${percent(part)}`).join(', ');
}

export function percent(part: number): string {
  return `${exact(Number((part * 100).toFixed(1)))}\u00a0%`;
}

/** A choice in words, and as the file has it where the words are others. */
export function choiceOf(key: Key, value: string | number): string {
  if (typeof value === 'number') return exact(value);
  const name = `choice_${value.replace(/-/g, '_')}`;
  const words = t(name as Parameters<typeof t>[0]);
  if (words === name || key.path.startsWith('hardware.can.interface')) return value;
  return words === value ? value : `${words} (${value})`;
}

export function withUnit(text: string, key: Key | undefined): string {
  return key === undefined || key.unit === '' ? text : `${text}\u00a0${key.unit}`;
}

/** What stands for null in help and rules: an empty editor, or a curve that is not one's own. */
export function forPeople(text: string, key: Key): string {
  return text.replace(/\bnull\b/g, t(key.kind === 'curve' ? 'automatic' : 'empty'));
}
