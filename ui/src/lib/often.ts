// Asks again and again, one question at a time, while somebody looks; returns what ends it. What the question reads is no
// reason to begin anew.
import { untrack } from 'svelte';

export function often(ask: () => Promise<unknown>, everyMs: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;

  async function turn(): Promise<void> {
    if (document.visibilityState === 'visible') {
      try {
        await ask();
      } catch {
        /* the frame tells that the bridge cannot be reached */
      }
    }
    if (!ended) timer = setTimeout(turn, everyMs);
  }

  untrack(() => void turn());
  return () => {
    ended = true;
    clearTimeout(timer);
  };
}
