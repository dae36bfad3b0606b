import { describe, expect, it } from 'vitest';
import { duration, energy, number, power, quantity, UNKNOWN } from './format';
import { choice } from './words.svelte';

describe('numbers', () => {
  it('are written as the language does, and unknown ones as a dash', () => {
    choice.language = 'en';
    expect(quantity(53.6, 'V', 1)).toBe('53.6\u00a0V');
    choice.language = 'fr';
    expect(quantity(53.6, 'V', 1)).toBe('53,6\u00a0V');
    choice.language = 'en';
    for (const value of [null, undefined, Number.NaN, Number.POSITIVE_INFINITY]) expect(number(value, 1)).toBe(UNKNOWN);
  });

  it('never show a minus before zero', () => {
    expect(number(-0.004, 1)).toBe('0.0');
    expect(number(-0.004, 1, true)).toBe('0.0');
    expect(number(2, 0, true)).toBe('+2');
  });

  it('take the unit that can be read', () => {
    expect(power(-950)).toBe('-950\u00a0W');
    expect(power(12_340)).toBe('12.3\u00a0kW');
    expect(energy(999)).toBe('999\u00a0Wh');
    expect(energy(1_250)).toBe('1.3\u00a0kWh');
    expect(power(null)).toBe(UNKNOWN);
  });
});

describe('duration', () => {
  it('names the two units that matter', () => {
    expect(duration(2)).toBe('2.0 s');
    expect(duration(59)).toBe('59 s');
    expect(duration(600)).toBe('10 min');
    expect(duration(6000)).toBe('1 h 40 min');
    expect(duration(40_000)).toBe('11 h');
    expect(duration(86_400 * 8)).toBe('8 days');
    expect(duration(null)).toBe(UNKNOWN);
  });
});
