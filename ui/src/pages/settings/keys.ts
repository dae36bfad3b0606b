// The configuration as a form: every key of the JSON Schema with its editor, what it accepts, and how its value is
// written and read. The schema is that of the server; whatever a schema cannot say the server judges.
import { number } from '../../lib/format';
import { choice } from '../../lib/words.svelte';
import { ORDER } from './first';

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Values = Record<string, Json>;
type Node = { [name: string]: Json };

export type Kind = 'flag' | 'choice' | 'number' | 'text' | 'long' | 'list' | 'table' | 'curve' | 'secret';

/** A point of a curve as it is typed. */
export type Point = [string, string];
/** What stands in the editor of a key. */
export type Typed = string | boolean | number | Point[] | null;

export interface Key {
  /** Dotted path, its name everywhere. */
  path: string;
  title: string;
  help: string;
  unit: string;
  /** What it accepts, in the words with which the server refuses other values. */
  rule: string;
  /** Why it does nothing on this machine; empty for a key that does. */
  noEffect: string;
  kind: Kind;
  whole: boolean;
  nullable: boolean;
  /** Whether a text or a secret has several lines, as PEM has. */
  multiline: boolean;
  low: number | null;
  high: number | null;
  longest: number | null;
  pattern: RegExp | null;
  choices: (string | number)[];
  fallback: Json;
}

export interface Group {
  path: string;
  title: string;
  keys: Key[];
}

export const MASK = '********';

const MOST_POINTS = 20;
const LONG_TEXT = 5000;

/** The groups of a schema; a section within a section is a group of its own. */
export function groupsOf(schema: unknown): Group[] {
  const root = schema as { properties: Record<string, Node>; $defs: Record<string, Node> };
  const groups: Group[] = [];
  function walk(properties: Record<string, Node>, path: string, title: string): void {
    const group: Group = { path, title: title.replace(/(;.*|\.)$/, '').trim(), keys: [] };
    if (path !== '') groups.push(group);
    for (const [name, node] of Object.entries(properties)) {
      const below = path === '' ? name : `${path}.${name}`;
      if (typeof node.$ref !== 'string') {
        group.keys.push(keyOf(below, node));
      } else if (name !== 'cvl_algorithm') {
        const section = root.$defs[node.$ref.split('/').pop() ?? ''] as Node;
        walk(section.properties as Record<string, Node>, below, String(section.description ?? below));
      }
    }
  }
  walk(root.properties, '', '');
  const place = (group: Group): number => ORDER.indexOf(group.path.split('.')[0] as string) + 1 || Infinity;
  return groups.filter((group) => group.keys.length > 0).sort((a, b) => place(a) - place(b));
}

function keyOf(path: string, node: Node): Key {
  const options = (node.anyOf as Node[] | undefined) ?? [node];
  const accepted = options.find((each) => each.type !== 'null') ?? node;
  const choices = (node.enum ?? accepted.enum ?? []) as (string | number)[];
  const longest = (accepted.maxLength as number | undefined) ?? null;
  return {
    path,
    title: String(node.title ?? path),
    help: String(node.description ?? ''),
    unit: String(node.unit ?? ''),
    rule: String(node.rule ?? ''),
    noEffect: String(node.no_effect ?? ''),
    kind: kindOf(accepted, choices, node.multiline === true || (longest ?? 0) > LONG_TEXT, path),
    whole: accepted.type === 'integer',
    nullable: options.length > 1,
    multiline: node.multiline === true,
    low: (accepted.minimum as number | undefined) ?? null,
    high: (accepted.maximum as number | undefined) ?? null,
    longest,
    pattern: typeof node.pattern === 'string' ? new RegExp(node.pattern, 'u') : null,
    choices,
    fallback: node.default ?? null,
  };
}

function kindOf(accepted: Node, choices: unknown[], long: boolean, path: string): Kind {
  if (choices.length > 0) return 'choice';
  if (accepted.type === 'boolean') return 'flag';
  if (accepted.type === 'number' || accepted.type === 'integer') return 'number';
  if (accepted.type === 'object') return 'table';
  if (accepted.type === 'array') return path.includes('.curves.') ? 'curve' : 'list';
  if (accepted.format === 'password') return 'secret';
  return long ? 'long' : 'text';
}

/** The value of each key of a configuration as it is answered. */
export function flat(document: unknown, keys: Key[]): Values {
  const values: Values = {};
  for (const { path } of keys) {
    let value = document as Json | undefined;
    for (const name of path.split('.')) value = (value as Node | null | undefined)?.[name];
    values[path] = value ?? null;
  }
  return values;
}

/** A merge patch (RFC 7396) of some values. */
export function nested(values: Values): Node {
  const patch: Node = {};
  for (const [path, value] of Object.entries(values)) {
    const names = path.split('.');
    const last = names.pop() as string;
    let at = patch;
    for (const name of names) at = (at[name] ??= {}) as Node;
    at[last] = value;
  }
  return patch;
}

export function same(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => same((a as Node)[name], (b as Node)[name]));
}

/** What stands in the editor for a value. */
export function typedOf(key: Key, value: Json): Typed {
  switch (key.kind) {
    case 'flag':
    case 'choice':
      return value as boolean | string | number;
    case 'number':
      return value === null ? '' : written(value as number);
    case 'curve':
      return value === null
        ? null
        : (value as [number, number][]).map(([x, part]) => [written(x), written(shortened(part * 100))]);
    case 'list':
      return (value as string[]).join('\n');
    case 'table':
      return Object.entries(value as Node)
        .map(([name, each]) => `${name} = ${entry(each)}`)
        .join('\n');
    default:
      return String(value ?? '');
  }
}

/** The value of what was typed; undefined for what the key does not accept. */
export function valueOf(key: Key, typed: Typed): Json | undefined {
  switch (key.kind) {
    case 'flag':
    case 'choice':
      return typed as boolean | string | number;
    case 'number':
      return numberOf(key, String(typed));
    case 'curve':
      return typed === null ? null : curveOf(typed as Point[]);
    case 'list':
      return lines(String(typed));
    case 'table':
      return tableOf(lines(String(typed)));
    case 'secret':
      return String(typed);
    default:
      return textOf(key, String(typed));
  }
}

function numberOf(key: Key, text: string): number | null | undefined {
  if (text.trim() === '') return key.nullable ? null : undefined;
  const value = parsed(text);
  if (value === undefined || (key.whole && !Number.isInteger(value))) return undefined;
  return value < (key.low ?? -Infinity) || value > (key.high ?? Infinity) ? undefined : value;
}

function textOf(key: Key, text: string): string | undefined {
  if (key.longest !== null && text.length > key.longest) return undefined;
  return key.pattern === null || key.pattern.test(text) ? text : undefined;
}

/** The points of a curve: rising, with parts from 0 to 1; undefined for others. */
export function curveOf(typed: Point[]): [number, number][] | undefined {
  const points: [number, number][] = [];
  for (const [x, percent] of typed) {
    const at = parsed(x);
    const part = parsed(percent);
    if (at === undefined || part === undefined || part < 0 || part > 100) return undefined;
    if (points.length > 0 && at <= (points[points.length - 1] as [number, number])[0]) return undefined;
    points.push([at, shortened(part / 100)]);
  }
  return points.length >= 1 && points.length <= MOST_POINTS ? points : undefined;
}

/** A number as people write it, with a point or a comma. */
export function parsed(text: string): number | undefined {
  const plain = text.trim().replace(',', '.').replace('−', '-');
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : undefined;
}

function written(value: number): string {
  return choice.language === 'fr' ? String(value).replace('.', ',') : String(value);
}

/** Without the tail of a binary fraction. */
function shortened(value: number): number {
  return Number(value.toPrecision(12));
}

function lines(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
}

function tableOf(rows: string[]): Node | undefined {
  const table: Node = {};
  for (const row of rows) {
    const at = row.indexOf('=');
    const name = row.slice(0, at).trim();
    if (at < 1 || name in table) return undefined;
    const text = row.slice(at + 1).trim();
    if (/^".*"$/.test(text)) table[name] = text.slice(1, -1);
    else if (text === 'true' || text === 'false') table[name] = text === 'true';
    else table[name] = /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
  }
  return table;
}

/** A text that reads like a number or a switch stands in quotes. */
function entry(value: Json): string {
  return typeof value === 'string' && /^(-?\d+(\.\d+)?|true|false|".*")$/.test(value) ? `"${value}"` : String(value);
}

/** A number with as many decimals as it has. */
export function decimals(value: number): number {
  return Math.min(6, (String(value).split('.')[1] ?? '').length);
}

/** What is left at some place of a curve. */
export function partAt(points: [number, number][], x: number): number {
  const first = points[0];
  const last = points[points.length - 1];
  if (first === undefined || last === undefined) return 1;
  if (x <= first[0]) return first[1];
  for (let i = 1; i < points.length; i++) {
    const [x1, y1] = points[i] as [number, number];
    const [x0, y0] = points[i - 1] as [number, number];
    if (x <= x1) return y0 + ((y1 - y0) * (x - x0)) / (x1 - x0);
  }
  return last[1];
}

/** A number in the chosen language, as exact as it is. */
export function exact(value: number): string {
  return number(value, decimals(value));
}

/** Whether a key has to do with all words that somebody looks for. */
export function matches(key: Key, group: Group, query: string): boolean {
  const text = plain(`${key.title} ${key.help} ${key.path} ${group.title} ${key.unit}`);
  return plain(query)
    .split(/\s+/)
    .every((word) => text.includes(word));
}

function plain(text: string): string {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase();
}
