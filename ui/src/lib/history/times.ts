// Times as the charts and tables of the history write them, in the chosen language and where this browser is.
import { moment } from '../format';
import { choice } from '../words.svelte';
import { dayStart } from './frame';

const HOUR_S = 3600;
const DAY_S = 86_400;

const formats = new Map<string, Intl.DateTimeFormat>();

function write(at: number, options: Intl.DateTimeFormatOptions): string {
  const key = choice.language + JSON.stringify(options);
  let format = formats.get(key);
  if (format === undefined) {
    format = new Intl.DateTimeFormat(choice.language === 'fr' ? 'fr-FR' : 'en-GB', options);
    formats.set(key, format);
  }
  return format.format(at * 1000);
}

const CLOCK: Intl.DateTimeFormatOptions = { hour: '2-digit', minute: '2-digit' };
const DATE: Intl.DateTimeFormatOptions = { day: 'numeric', month: 'short' };
const MONTH: Intl.DateTimeFormatOptions = { month: 'short', year: 'numeric' };

/** Returns the words at a time axis whose marks are `stepS` apart. */
export function axisTimes(marks: readonly number[], stepS: number): string[] {
  return marks.map((at) => {
    const date = new Date(at * 1000);
    if (stepS >= 28 * DAY_S) {
      return stepS >= 360 * DAY_S ? write(at, { year: 'numeric' }) : write(at, MONTH);
    }
    if (stepS >= DAY_S || (date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0)) {
      return write(at, DATE);
    }
    return write(at, stepS < 60 ? { ...CLOCK, second: '2-digit' } : CLOCK);
  });
}

/** Returns the beginning of a step as its length deserves. */
export function stepTime(at: number, stepS: number): string {
  if (stepS >= 28 * DAY_S) return write(at, { month: 'long', year: 'numeric' });
  return stepS >= DAY_S ? date(at) : moment(at * 1000, stepS < 60);
}

export function date(at: number): string {
  return write(at, { ...DATE, year: 'numeric' });
}

/** Returns a day of the API, such as 2026-06-21. */
export function dayWords(day: string): string {
  return date(dayStart(day));
}

export function monthWords(month: string): string {
  return write(dayStart(month), { month: 'long', year: 'numeric' });
}

/** Returns the time of a window as words: with the clock while that says anything. */
export function windowWords(from: number, to: number): [string, string] {
  const stepS = to - from > 60 * DAY_S ? DAY_S : HOUR_S;
  return [stepTime(from, stepS), stepTime(to, stepS)];
}
