// What somebody has typed for the settings of one BMS, until it is written; and how values of settings are shown.
import type { Problem, Schemas } from '../../lib/api.svelte';
import { number, UNKNOWN } from '../../lib/format';
import { choice, speaker } from '../../lib/words.svelte';
import words from '../../generated/words/bms';

export type Register = Schemas['RegisterAnswer'];
export type Value = number | string;
export type Plan = Schemas['WriteAnswer'];
export type Result = Schemas['ResultAnswer'];

/** A mistake in a request, as the server tells it. */
export interface Mistake {
  path: string;
  code: string;
  text: string;
}

/** What is to be written: settings that were typed, or a backup. */
export type Job =
  { kind: 'write'; values: Record<string, Value> } | { kind: 'restore'; backup: Record<string, unknown> };

/** Returns what a problem document says of each setting or part of a backup. */
export function mistakes(problem: Problem): Mistake[] {
  return ((problem as { errors?: Mistake[] }).errors ?? []).filter((each) => typeof each.path === 'string');
}

/** A number as typed, with decimal point or comma; null for anything else. */
export function parsed(text: string): number | null {
  const plain = text.trim().replace(',', '.').replace('\u2212', '-');
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : null;
}

const t = speaker(words);

/** The unit of a setting in the chosen language; most are the same in all. */
export function unit(register: Register): string {
  const counted = (['cells', 'cycles', 'pulses'] as const).find((each) => each === register.unit);
  return counted === undefined ? register.unit : t(`unit_${counted}`);
}

/** A value with its unit, or the words of a choice. */
export function shown(register: Register | undefined, value: Value | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  if (register === undefined) return String(value);
  if (typeof value === 'string') return register.enum_values.find((each) => each.label === value)?.title ?? value;
  const text = number(value, register.precision);
  return register.unit === '' ? text : `${text}\u00a0${unit(register)}`;
}

/** The same value as somebody would type it. */
export function typed(register: Register, value: Value | null): string {
  if (value === null) return '';
  if (typeof value === 'string') return value;
  const text = value.toFixed(register.precision);
  return choice.language === 'fr' ? text.replace('.', ',') : text;
}

export class Draft {
  /** As typed, by key. */
  texts = $state<Record<string, string>>({});
  /** Why the server refused a value, by key. */
  refused = $state<Record<string, string>>({});

  set(register: Register, text: string): void {
    delete this.refused[register.key];
    if (text === typed(register, register.value)) delete this.texts[register.key];
    else this.texts[register.key] = text;
  }

  forget(key: string): void {
    delete this.texts[key];
    delete this.refused[key];
  }

  clear(): void {
    this.texts = {};
    this.refused = {};
  }

  /** The value that a setting is to have; null for what is no number. */
  value(register: Register): Value | null {
    const text = this.texts[register.key];
    if (text === undefined) return register.value;
    return register.is_enum ? text : parsed(text);
  }

  has(register: Register): boolean {
    return register.key in this.texts && this.value(register) !== register.value;
  }
}
