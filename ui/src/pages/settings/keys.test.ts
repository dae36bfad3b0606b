import { describe, expect, it } from 'vitest';
import { choice } from '../../lib/words.svelte';
import { curveOf, flat, groupsOf, matches, nested, partAt, typedOf, valueOf } from './keys';
import type { Key, Typed } from './keys';

const schema = {
  properties: {
    wifi: { $ref: '#/$defs/Wifi' },
    cvl: { $ref: '#/$defs/Cvl' },
    cvl_algorithm: { $ref: '#/$defs/Cvl' },
  },
  $defs: {
    Wifi: { description: 'Wireless network.', properties: { password: { type: 'string', format: 'password' } } },
    Cvl: {
      description: 'Charge; null = by itself.',
      properties: {
        offset: { anyOf: [{ type: 'number', minimum: 0, maximum: 5 }, { type: 'null' }], default: null, unit: 'V' },
        cells: { type: 'integer', minimum: 4, maximum: 16, default: 16 },
        chemistry: { enum: ['auto', 'lfp'], type: 'string', default: 'auto', title: 'Chimie des éléments' },
        name: { type: 'string', pattern: '^[a-z]{1,8}$', default: 'a' },
        sites: { type: 'array', default: [] },
        options: { type: 'object', default: {} },
        curves: { $ref: '#/$defs/Curves' },
      },
    },
    Curves: {
      description: 'Curves.',
      properties: { by_soc: { anyOf: [{ type: 'array' }, { type: 'null' }], default: null, unit: '%' } },
    },
  },
};
const groups = groupsOf(schema);
const keys = groups.flatMap((group) => group.keys);
const key = (path: string): Key => keys.find((each) => each.path === path) as Key;
const read = (path: string, typed: Typed) => valueOf(key(path), typed);

describe('a form', () => {
  it('has a group for each section, charging first, and no key twice', () => {
    expect(groups.map((group) => [group.path, group.title])).toEqual([
      ['cvl', 'Charge'],
      ['cvl.curves', 'Curves'],
      ['wifi', 'Wireless network'],
    ]);
    expect(keys.map((each) => each.kind).join(' ')).toBe('number number choice text list table curve secret');
  });

  it('has several lines for what has several, also for a secret', () => {
    const pem = { type: 'string', multiline: true };
    const properties = { certificate: pem, key: { ...pem, format: 'password' }, name: { type: 'string' } };
    const found = groupsOf({ properties: { mqtt: { $ref: '#/$defs/Mqtt' } }, $defs: { Mqtt: { properties } } });
    expect(found[0]?.keys.map((each) => [each.kind, each.multiline])).toEqual([
      ['long', true],
      ['secret', true],
      ['text', false],
    ]);
  });

  it('takes values out of a configuration and puts changes into a patch', () => {
    const values = flat({ cvl: { offset: 1, curves: { by_soc: null } } }, [
      key('cvl.offset'),
      key('cvl.curves.by_soc'),
    ]);
    expect(values).toEqual({ 'cvl.offset': 1, 'cvl.curves.by_soc': null });
    expect(nested({ 'a.b': 1, 'a.c.d': null })).toEqual({ a: { b: 1, c: { d: null } } });
  });

  it('finds a key by each word, with or without accents', () => {
    const group = groups[0]!;
    expect(matches(key('cvl.chemistry'), group, 'elements CVL')).toBe(true);
    expect(matches(key('cvl.chemistry'), group, 'elements wifi')).toBe(false);
  });
});

describe('what is typed', () => {
  it('is a number with a point or a comma, within its range', () => {
    expect(read('cvl.offset', ' 2,5 ')).toBe(2.5);
    expect(read('cvl.offset', '')).toBe(null);
    for (const wrong of ['6', '-1', '1e1', 'two', '1,2,3', '0x1']) expect(read('cvl.offset', wrong)).toBeUndefined();
    for (const wrong of ['', '4.5', '3']) expect(read('cvl.cells', wrong)).toBeUndefined();
  });

  it('is a text that the pattern allows', () => {
    expect(read('cvl.name', 'boat')).toBe('boat');
    expect(read('cvl.name', 'Boat 1')).toBeUndefined();
  });

  it('is a list or a table by the line, and comes back as it was', () => {
    expect(read('cvl.sites', 'http://a\n\n http://b ')).toEqual(['http://a', 'http://b']);
    const table = { port: 5, name: '5', fd: true, bus: 'can0' };
    expect(read('cvl.options', typedOf(key('cvl.options'), table))).toEqual(table);
    expect(read('cvl.options', 'port 5')).toBeUndefined();
    expect(read('cvl.options', 'a = 1\na = 2')).toBeUndefined();
  });

  it('is a curve whose points rise and leave from nothing to all', () => {
    const curve = [
      [0, 0],
      [14.5, 0.07],
    ];
    expect(read('cvl.curves.by_soc', typedOf(key('cvl.curves.by_soc'), curve))).toEqual(curve);
    expect(
      curveOf([
        ['5', '100'],
        ['5', '0'],
      ]),
    ).toBeUndefined();
    expect(curveOf([['5', '101']])).toBeUndefined();
    expect(curveOf([])).toBeUndefined();
  });

  it('is written as the language does', () => {
    choice.language = 'fr';
    expect(typedOf(key('cvl.offset'), 2.5)).toBe('2,5');
    choice.language = 'en';
    expect(typedOf(key('cvl.offset'), 2.5)).toBe('2.5');
  });
});

describe('a curve', () => {
  it('is straight between its points and level outside', () => {
    const points: [number, number][] = [
      [0, 0.5],
      [10, 1],
    ];
    expect([-5, 0, 5, 10, 20].map((x) => partAt(points, x))).toEqual([0.5, 0.5, 0.75, 1, 1]);
  });
});
