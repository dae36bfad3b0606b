import { describe, expect, it } from 'vitest';
import { candump, count, live, pieces, units, values, type Row, type Seen } from './can';

const frame = (data: string, time_s: number | null, id = '0x351'): Seen => ({
  id,
  data,
  time_s,
  name: 'limits',
  values: { charge_voltage_limit: 54.8 },
  direction: 'tx',
});

describe('rows', () => {
  it('count, tell the period and mark the bytes that changed', () => {
    const rows = new Map<string, Row>();
    expect(count(rows, frame('0102', 10)).changed).toEqual([]);
    const row = count(rows, frame('01FF', 11));
    expect([row.count, row.period_ms, row.changed]).toEqual([2, 1000, [false, true]]);
    expect(count(rows, frame('01FF', 12)).changed).toEqual([false, false]);
    count(rows, frame('', 12, '0x305'));
    expect([...rows.keys()]).toEqual(['0x351 tx', '0x305 tx']);
  });

  it('have no period where there are no times', () => {
    const rows = new Map<string, Row>();
    count(rows, frame('01', null));
    expect(count(rows, frame('01', null)).period_ms).toBeNull();
  });
});

describe('values', () => {
  it('have their unit, and of many fields only what is not in order', () => {
    const format = { id: '0x351', fields: [{ name: 'charge_voltage_limit', unit: 'V' }] };
    expect(values(frame('', 0), units([format] as never))).toEqual([['charge voltage limit', '54.80\u00a0V']]);
    const many = Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`field_${n}`, n === 3 ? 'active' : 'ok']));
    expect(values({ ...frame('', 0), values: many }, new Map())).toEqual([['field 3', 'active']]);
  });
});

describe('files', () => {
  it('are logs of candump', () => {
    const at = '2026-01-01T00:00:00.250Z';
    const seen = live({ number: 1, at, direction: 'tx', id: '0x351', data: '2402', name: null, values: {} });
    expect(candump([seen])).toBe('(1767225600.250000) can0 351#2402\n');
  });

  it('are cut between lines, with the number of the lines before', () => {
    const text = 'aaaa\nbbbb\ncccc';
    expect([...pieces(text, 10)]).toEqual([
      { text: 'aaaa\nbbbb\n', lines: 0 },
      { text: 'cccc', lines: 2 },
    ]);
    expect([...pieces('x'.repeat(25), 10)].map((each) => each.text.length)).toEqual([10, 10, 5]);
    expect([...pieces('', 10)]).toEqual([]);
  });
});
