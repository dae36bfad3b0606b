// Changing some keys of the configuration; in force at once.
import type { paths } from '../generated/schema';
import { api } from './api.svelte';

/** Some of the keys: the generated type asks for all of a section, because each has a default. */
type Some<T> = T extends readonly unknown[] ? T : T extends object ? { [K in keyof T]?: Some<T[K]> } : T;
type Body = NonNullable<paths['/api/settings']['post']['requestBody']>['content']['application/json'];
export type SettingsChange = Some<Body>;

export function changeSettings(change: SettingsChange): ReturnType<typeof post> {
  return post(change as Body);
}

const post = (body: Body) => api.post('/api/settings', { body });
