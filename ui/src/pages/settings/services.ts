// A service in words: what it is for, how it stands, what it has counted. One that has no words here is shown as well.
import type { Schemas } from '../../lib/api.svelte';
import { number, quantity } from '../../lib/format';
import { speaker } from '../../lib/words.svelte';
import type { IconName } from '../../components/Icon.svelte';
import words from '../../generated/words/connections';

export type Service = Schemas['NamedService'];
export type Level = 'good' | 'warning' | 'quiet';

export const t = speaker(words);

const ICONS: Record<string, IconName> = { mqtt: 'share', notifications: 'bell', mdns: 'web', metrics: 'history' };
const LEVELS: Record<Service['condition'], Level> = {
  off: 'quiet',
  starting: 'quiet',
  working: 'good',
  trouble: 'warning',
};

export const iconOf = (service: Service): IconName => ICONS[service.name] ?? 'share';
export const levelOf = (service: Service): Level => LEVELS[service.condition] ?? 'quiet';

/** The name of a service as a title; in sentences it is written small. */
export const titleOf = (service: Service): string => service.title.charAt(0).toUpperCase() + service.title.slice(1);

/** Words of a key that is made of names, of which some have none. */
function wordsOf(key: string): string {
  const text = t(key as 'intro');
  return text === key ? '' : text;
}

export const whatOf = (service: Service): string => wordsOf(`what_${service.name}`);
export const givesOf = (service: Service): string => wordsOf(`gives_${service.name}`);
export const tryOf = (service: Service): string => wordsOf(`try_${service.name}`) || t('try');

const size = (bytes: number): string =>
  bytes < 1e6 ? quantity(Math.ceil(bytes / 1e3), t('kilobytes')) : quantity(bytes / 1e6, t('megabytes'), 1);

/** What it has counted, in words; what has not happened is left out. */
export function countersOf(service: Service): [string, string][] {
  return Object.entries(service.counters)
    .filter(([, count]) => count > 0)
    .map(([name, count]) => [
      wordsOf(`counter_${name}`) || name.replaceAll('_', ' '),
      name.endsWith('_bytes') ? size(count) : number(count),
    ]);
}

/** Where it is, as an address that a browser opens; empty for whatever is none. */
export function addressOf(service: Service): string {
  return /^https?:\/\/[^\s]+$/.test(service.where) || /^\/\w+$/.test(service.where) ? service.where : '';
}
