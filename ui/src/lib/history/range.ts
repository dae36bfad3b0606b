// Which time is shown: a span that ends now, or from one moment to another. Times are seconds since 1970.
export const SPANS_S = {
  '1h': 3600,
  '6h': 21_600,
  '24h': 86_400,
  '7d': 604_800,
  '30d': 2_592_000,
  '1y': 31_536_000,
  '10y': 315_360_000,
} as const;
export type Span = keyof typeof SPANS_S;
export const SPANS = Object.keys(SPANS_S) as Span[];
export const DEFAULT_SPAN: Span = '24h';

/** Times from one moment to another. */
export interface Window {
  from: number;
  to: number;
}

/** What the address says. */
export type Range = { span: Span } | { span: null; from: number; to: number };

const SHORTEST_S = 60;
const LONGEST_S = SPANS_S['10y'];

/** Up to here what happens now is shown as it comes. */
const LIVE_S = SPANS_S['24h'];

/** Returns what the query of an address asks for; the default span for what cannot be understood. */
export function rangeOf(query: URLSearchParams): Range {
  const from = Date.parse(query.get('from') ?? '') / 1000;
  const to = Date.parse(query.get('to') ?? '') / 1000;
  if (from < to) return { span: null, ...bounded({ from, to }) };
  const span = query.get('span') ?? '';
  return { span: span in SPANS_S ? (span as Span) : DEFAULT_SPAN };
}

/** Returns the part of a query that asks for a range. */
export function queryOf(range: Range): { span: string | null; from: string | null; to: string | null } {
  return range.span === null
    ? { span: null, from: written(range.from), to: written(range.to) }
    : { span: range.span === DEFAULT_SPAN ? null : range.span, from: null, to: null };
}

function written(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Returns the times of a range at a moment. */
export function windowOf(range: Range, now: number): Window {
  return range.span === null ? { from: range.from, to: range.to } : { from: now - SPANS_S[range.span], to: now };
}

export function isLive(range: Range): boolean {
  return range.span !== null && SPANS_S[range.span] <= LIVE_S;
}

/** How often a range that ends now is asked for again, in seconds; null for one that does not change. */
export function refreshS(range: Range): number | null {
  if (range.span === null) return null;
  const length = SPANS_S[range.span];
  return length <= LIVE_S ? 60 : length <= SPANS_S['30d'] ? 300 : null;
}

/** Returns a window in whole seconds, neither too short nor too long to be asked for. */
export function bounded({ from, to }: Window): Window {
  const middle = (from + to) / 2;
  const length = Math.min(LONGEST_S, Math.max(SHORTEST_S, to - from));
  return { from: Math.max(0, Math.round(middle - length / 2)), to: Math.round(middle + length / 2) };
}

/** Returns a window that is longer by a factor, with the same moment in the same place, and does not go beyond `end`. */
export function zoomed({ from, to }: Window, factor: number, around: number, end: number): Window {
  const found = bounded({ from: around - (around - from) * factor, to: around + (to - around) * factor });
  return kept(found, end);
}

/** Returns a window moved by a part of its length. */
export function moved({ from, to }: Window, part: number, end: number): Window {
  const by = Math.round((to - from) * part);
  return kept({ from: from + by, to: to + by }, end);
}

function kept(window: Window, end: number): Window {
  const over = Math.max(0, Math.ceil(window.to - end));
  return { from: Math.max(0, window.from - over), to: window.to - over };
}
