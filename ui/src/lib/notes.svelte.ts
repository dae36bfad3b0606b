// Short words at the edge of the screen: what was done, or why it was not.
import { ApiError } from './api.svelte';
import { say } from './words.svelte';

export interface Note {
  id: number;
  text: string;
  bad: boolean;
}

class Notes {
  all = $state<Note[]>([]);
  private next = 1;

  tell(text: string, bad = false): void {
    const note = { id: this.next++, text, bad };
    this.all.push(note);
    setTimeout(() => this.forget(note.id), bad ? 12_000 : 5000);
  }

  forget(id: number): void {
    this.all = this.all.filter((note) => note.id !== id);
  }
}

export const notes = new Notes();

/** The words for what went wrong. */
export function reason(error: unknown): string {
  if (error instanceof ApiError && error.problem.status === 0) return say('unreachable');
  return error instanceof Error ? error.message : String(error);
}

/** Does something and tells how it went; returns undefined when it failed. */
export async function attempt<T>(work: () => Promise<T>, done?: string): Promise<T | undefined> {
  try {
    const result = await work();
    if (done !== undefined) notes.tell(done);
    return result;
  } catch (error) {
    notes.tell(say('error', { message: reason(error) }), true);
    return undefined;
  }
}
