import { afterEach, describe, expect, it } from 'vitest';
import { choice } from '../../lib/words.svelte';
import { addressOf, countersOf, givesOf, levelOf, titleOf, tryOf, whatOf } from './services';
import type { Service } from './services';

const service = (changes: Partial<Service> = {}): Service => ({
  name: 'mqtt',
  title: 'MQTT',
  condition: 'working',
  since: null,
  where: '',
  message: null,
  last_error: null,
  last_error_at: null,
  counters: {},
  testable: true,
  ...changes,
});

describe('a service', () => {
  afterEach(() => choice.choose('en'));

  it('has a name that begins a line', () => {
    expect(titleOf(service({ title: 'the name in the network' }))).toBe('The name in the network');
    expect(titleOf(service({ title: 'les métriques' }))).toBe('Les métriques');
    expect(titleOf(service({ title: '' }))).toBe('');
  });

  it('counts in words what has happened, and nothing else', () => {
    const counters = { published: 1234, dropped: 0, kept_bytes: 2_600_000, of_a_later_version: 7 };
    expect(countersOf(service({ counters }))).toEqual([
      ['Published', '1,234'],
      ['Kept for later', '2.6\u00a0MB'],
      ['of a later version', '7'],
    ]);
    choice.choose('fr');
    expect(countersOf(service({ counters: { kept_bytes: 4000 } }))).toEqual([['Gardé pour plus tard', '4\u00a0ko']]);
  });

  it('is a link only where a browser can go', () => {
    expect(addressOf(service({ where: 'http://tinybms-bridge.local:8080/' }))).toBe(
      'http://tinybms-bridge.local:8080/',
    );
    expect(addressOf(service({ where: '/metrics' }))).toBe('/metrics');
    for (const where of ['', 'mqtt://boat:1883', 'javascript:alert(1)', '//evil.example', 'ntfy.sh, smtp.boat']) {
      expect(addressOf(service({ where }))).toBe('');
    }
  });

  it('says what it is for, unless nobody knows', () => {
    expect(whatOf(service())).toContain('MQTT broker');
    expect(givesOf(service({ name: 'notifications' }))).toContain('phone');
    expect(tryOf(service({ name: 'notifications' }))).toBe('Send a test notification');
    const unknown = service({ name: 'telepathy' });
    expect([whatOf(unknown), givesOf(unknown), tryOf(unknown)]).toEqual(['', '', 'Try it']);
  });

  it('is not coloured like an alarm of the battery', () => {
    expect(levelOf(service({ condition: 'trouble' }))).toBe('warning');
    expect(levelOf(service({ condition: 'working' }))).toBe('good');
    expect(levelOf(service({ condition: 'off' }))).toBe('quiet');
    expect(levelOf(service({ condition: 'of a later version' as Service['condition'] }))).toBe('quiet');
  });
});
