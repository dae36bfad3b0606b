// Taking a pack out of the battery, and putting it back.
import { attempt } from './notes.svelte';
import { changeSettings } from './settings';

/** Returns whether it was done. */
export async function setInService(name: string, enabled: boolean): Promise<boolean> {
  return (await attempt(() => changeSettings({ packs: { [name]: { enabled } } }))) !== undefined;
}
