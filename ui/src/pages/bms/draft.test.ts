import { beforeEach, describe, expect, it } from 'vitest';
import { choice } from '../../lib/words.svelte';
import { Draft, parsed, shown, typed, type Register } from './draft.svelte';

const cutoff = {
  key: 'over_voltage_cutoff_v',
  unit: 'V',
  precision: 3,
  is_enum: false,
  enum_values: [],
  value: 3.75,
} as unknown as Register;
const mode = {
  key: 'operation_mode',
  unit: '',
  precision: 0,
  is_enum: true,
  enum_values: [{ value: 0, label: 'dual_port', title: 'dual port' }],
  value: 'dual_port',
} as unknown as Register;

beforeEach(() => {
  choice.language = 'en';
});

describe('a number as typed', () => {
  it('has a decimal point or comma, and is nothing else', () => {
    expect(parsed(' 3,65 ')).toBe(3.65);
    expect(parsed('-5')).toBe(-5);
    expect(parsed('.5')).toBe(0.5);
    for (const text of ['', '-', '3.6.5', '1e3', '3.65 V', 'Infinity']) expect(parsed(text)).toBeNull();
  });
});

describe('values', () => {
  it('have their unit, decimals and words', () => {
    expect(shown(cutoff, 3.7)).toBe('3.700\u00a0V');
    expect(shown(mode, 'dual_port')).toBe('dual port');
    expect(shown(cutoff, null)).toBe('–');
    choice.language = 'fr';
    expect(typed(cutoff, 3.7)).toBe('3,700');
  });
});

describe('a draft', () => {
  it('holds what differs from the BMS, as a number', () => {
    const draft = new Draft();
    draft.set(cutoff, '3,7');
    expect(draft.has(cutoff)).toBe(true);
    expect(draft.value(cutoff)).toBe(3.7);
    draft.set(cutoff, '3.750');
    expect(draft.has(cutoff)).toBe(false);
  });

  it('keeps what is no number, to be mended', () => {
    const draft = new Draft();
    draft.set(cutoff, '3.7x');
    expect(draft.has(cutoff)).toBe(true);
    expect(draft.value(cutoff)).toBeNull();
  });

  it('forgets why a value was refused once it is another', () => {
    const draft = new Draft();
    draft.set(cutoff, '9');
    draft.refused[cutoff.key] = 'too much';
    draft.set(cutoff, '4');
    expect(draft.refused).toEqual({});
  });
});
