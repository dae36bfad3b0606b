// Numbers, times and durations as people of the chosen language write them. What is not known is a dash.
import { choice, say } from './words.svelte';

export const UNKNOWN = '–';

// TypeScript 5.9 does not know 'negative' yet (ECMA-402, 2023).
type Sign = Intl.NumberFormatOptions['signDisplay'];

const numbers = new Map<string, Intl.NumberFormat>();

function formatter(decimals: number, sign: boolean): Intl.NumberFormat {
  const key = `${choice.language} ${decimals} ${sign}`;
  let found = numbers.get(key);
  if (found === undefined) {
    found = new Intl.NumberFormat(choice.language === 'fr' ? 'fr-FR' : 'en-GB', {
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
      signDisplay: (sign ? 'exceptZero' : 'negative') as Sign,
    });
    numbers.set(key, found);
  }
  return found;
}

/** A number with its decimals; a dash for what is not known. */
export function number(value: number | null | undefined, decimals = 0, sign = false): string {
  return value === null || value === undefined || !Number.isFinite(value)
    ? UNKNOWN
    : formatter(decimals, sign).format(value);
}

/** A number with its unit, which never stands alone on a new line. */
export function quantity(value: number | null | undefined, unit: string, decimals = 0, sign = false): string {
  const text = number(value, decimals, sign);
  return text === UNKNOWN ? text : `${text}\u00a0${unit}`;
}

/** W below 10 kW, kW above. */
export function power(watts: number | null | undefined, sign = false): string {
  if (watts === null || watts === undefined) return UNKNOWN;
  return Math.abs(watts) < 10_000 ? quantity(watts, 'W', 0, sign) : quantity(watts / 1000, 'kW', 1, sign);
}

/** Wh below 1 kWh, kWh above. */
export function energy(wattHours: number | null | undefined): string {
  if (wattHours === null || wattHours === undefined) return UNKNOWN;
  return Math.abs(wattHours) < 1000 ? quantity(wattHours, 'Wh') : quantity(wattHours / 1000, 'kWh', 1);
}

/** How long, in the two units that matter. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return UNKNOWN;
  const s = Math.max(0, seconds);
  if (s < 10) return say('seconds', { n: number(s, 1) });
  if (s < 120) return say('seconds', { n: number(s) });
  if (s < 3600) return say('minutes', { n: number(s / 60) });
  if (s < 36_000) {
    const minutes = Math.round(s / 60);
    return say('hours_minutes', { h: Math.floor(minutes / 60), m: minutes % 60 });
  }
  if (s < 172_800) return say('hours', { n: number(s / 3600) });
  return say('days', { n: Math.round(s / 86_400) });
}

/** The time of day, with the date when it is not today. */
export function moment(iso: string | number | Date | null | undefined, seconds = false): string {
  if (iso === null || iso === undefined) return UNKNOWN;
  const at = new Date(iso);
  if (Number.isNaN(at.getTime())) return UNKNOWN;
  const locale = choice.language === 'fr' ? 'fr-FR' : 'en-GB';
  const today = at.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(locale, {
    ...(today ? {} : { day: 'numeric', month: 'short', ...(sameYear(at) ? {} : { year: 'numeric' }) }),
    hour: '2-digit',
    minute: '2-digit',
    ...(seconds ? { second: '2-digit' } : {}),
  }).format(at);
}

function sameYear(at: Date): boolean {
  return at.getFullYear() === new Date().getFullYear();
}
