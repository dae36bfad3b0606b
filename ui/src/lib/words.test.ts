import { describe, expect, it } from 'vitest';
import { fill } from './words.svelte';

describe('fill', () => {
  it('puts a parameter in, and a question mark where there is none', () => {
    expect(fill('since {time}', { time: '12:00' }, 'en')).toBe('since 12:00');
    expect(fill('since {time}', {}, 'en')).toBe('since ?');
  });

  it('chooses the word for the number as the language does', () => {
    expect(fill('{n} {n:alarm|alarms}', { n: 1 }, 'en')).toBe('1 alarm');
    expect(fill('{n} {n:alarm|alarms}', { n: 0 }, 'en')).toBe('0 alarms');
    expect(fill('{n} {n:alarme|alarmes}', { n: 0 }, 'fr')).toBe('0 alarme');
    expect(fill('{n} {n:alarme|alarmes}', { n: 2 }, 'fr')).toBe('2 alarmes');
  });
});
