// MQTT, notifications and the others that somebody may want, as the frame of every page tells of them.
import { live } from './live.svelte';
import { say } from './words.svelte';

/** Which of them do not work, in words; empty while all do, and while nobody knows. */
export function troubledServices(): string {
  const troubled = live.stale ? [] : (live.overview?.troubled_services ?? []);
  return troubled.length === 0
    ? ''
    : say('services_troubled', { names: troubled.map(({ title }) => title).join(', ') });
}
