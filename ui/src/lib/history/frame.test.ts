import { describe, expect, test } from 'vitest';
import { CHARTS, type DayRecord } from './charts';
import { type Frame, frameOf, frameOfDays, summary, total, withSamples } from './frame';

const answer = {
  from: '2026-01-01T00:00:00Z',
  to: '2026-01-01T00:00:40Z',
  step_s: 10,
  times: [100, 110, 120, 130],
  fields: {
    power_w: { mean: [10, null, 30, null], min: [5, null, 20, null], max: [15, null, 50, null] },
    freshness: { worst: ['FRESH', null, 'HOLD', null] },
  },
};

function day(text: string, changes: Partial<DayRecord>): DayRecord {
  return { day: text, hold_h: 0, silent_h: 0, voltage_min_v: 50, voltage_max_v: 54, ...changes } as DayRecord;
}

describe('a frame of an answer', () => {
  const frame = frameOf(answer);

  test('keeps gaps and knows where data was held', () => {
    expect(frame.columns['power_w.mean']).toEqual([10, null, 30, null]);
    expect(frame.held).toEqual([null, null, 'HOLD', null]);
  });

  test('tells least, most, mean and last value within a time, of what is known', () => {
    expect(summary(frame, CHARTS.power, 0, 1000)).toEqual({
      least: 5,
      leastAt: 100,
      most: 50,
      mostAt: 120,
      mean: 20,
      last: 30,
      lastAt: 120,
    });
    expect(summary(frame, CHARTS.power, 0, 110)?.most).toBe(15);
    expect(summary(frame, CHARTS.power, 130, 1000)).toBeNull();
  });

  test('a sum of nothing is not zero', () => {
    expect(total(frame, 'power_w.mean')).toBe(40);
    expect(total(frame, 'charged_wh.sum')).toBeNull();
  });

  test('goes on with what the live view says, where nothing is stored', () => {
    const samples = [
      { at: 121, values: { power_w: 999 }, held: null },
      { at: 131, values: { power_w: 40 }, held: null },
      { at: 133, values: { power_w: 60 }, held: 'SILENT' as const },
      { at: 151, values: { power_w: null }, held: null },
    ];
    const longer = withSamples(frame, samples);

    expect(longer.times).toEqual([100, 110, 120, 130, 140, 150]);
    expect(longer.columns['power_w.mean']).toEqual([10, null, 30, 50, null, null]);
    expect(longer.columns['power_w.min']).toEqual([5, null, 20, 40, null, null]);
    expect(longer.columns['power_w.max']).toEqual([15, null, 50, 60, null, null]);
    expect(longer.held[3]).toBe('SILENT');
  });
});

describe('a frame of days', () => {
  test('has the extremes of each, and a gap where there is no record', () => {
    const days = [day('2026-01-01', {}), day('2026-01-03', { voltage_min_v: 51, voltage_max_v: null, hold_h: 1 })];
    const frame: Frame = frameOfDays(days, [CHARTS.voltage], 800);

    expect(frame.columns['voltage_v.min']).toEqual([50, null, 51]);
    expect(frame.columns['voltage_v.max']).toEqual([54, null, null]);
    expect(frame.columns['voltage_v.mean']).toBeUndefined();
    expect(frame.held).toEqual([null, null, 'HOLD']);
  });

  test('is made shorter with the extremes of several days', () => {
    const days = ['01', '02', '03', '04'].map((date, place) =>
      day(`2026-01-${date}`, { voltage_min_v: 50 - place, voltage_max_v: 54 + place }),
    );
    const frame = frameOfDays(days, [CHARTS.voltage], 2);

    expect(frame.stepS).toBe(2 * 86_400);
    expect(frame.columns['voltage_v.min']).toEqual([49, 47]);
    expect(frame.columns['voltage_v.max']).toEqual([55, 57]);
  });
});
