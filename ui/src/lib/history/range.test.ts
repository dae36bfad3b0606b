import { describe, expect, test } from 'vitest';
import { bounded, moved, queryOf, rangeOf, windowOf, zoomed } from './range';

const of = (text: string) => rangeOf(new URLSearchParams(text));

describe('what an address asks for', () => {
  test('a span, two moments, and the span of a day for what cannot be understood', () => {
    expect(of('span=7d')).toEqual({ span: '7d' });
    expect(of('from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z')).toEqual({
      span: null,
      from: 1_767_225_600,
      to: 1_767_312_000,
    });
    expect(of('span=2w')).toEqual({ span: '24h' });
    expect(of('from=2026-01-02&to=2026-01-01')).toEqual({ span: '24h' });
  });

  test('is what was written into it', () => {
    const range = { span: null, from: 1_767_225_600, to: 1_767_229_200 } as const;
    const query = queryOf(range);
    expect(rangeOf(new URLSearchParams({ from: query.from ?? '', to: query.to ?? '' }))).toEqual(range);
    expect(queryOf({ span: '24h' })).toEqual({ span: null, from: null, to: null });
  });
});

describe('another time', () => {
  test('a span ends now', () => {
    expect(windowOf({ span: '1h' }, 10_000)).toEqual({ from: 6400, to: 10_000 });
  });

  test('the moment that is zoomed at stays in its place', () => {
    expect(zoomed({ from: 0, to: 1000 }, 0.5, 250, 5000)).toEqual({ from: 125, to: 625 });
  });

  test('nothing goes beyond now, and nothing is shorter than a minute or longer than ten years', () => {
    expect(zoomed({ from: 4000, to: 5000 }, 2, 4500, 5000)).toEqual({ from: 3000, to: 5000 });
    expect(moved({ from: 4000, to: 5000 }, 0.5, 5000)).toEqual({ from: 4000, to: 5000 });
    expect(bounded({ from: 100_000, to: 100_001 })).toEqual({ from: 99_971, to: 100_031 });
    const { from, to } = bounded({ from: 0, to: 1e9 });
    expect(to - from).toBe(315_360_000);
  });
});
