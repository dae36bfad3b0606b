// Files that the page hands to the person: made here, or answered by the bridge after a login where it asks for one.
import { request } from '../../lib/api.svelte';

function hand(content: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

export function saveText(text: string, name: string): void {
  hand(new Blob([text], { type: 'text/plain' }), name);
}

/** Saves an answer under the name that the bridge gives it. Throws ApiError. */
export async function saveAnswer(path: string): Promise<true> {
  const response = await request('get', path);
  const named = /filename="([^"]+)"/.exec(response.headers.get('Content-Disposition') ?? '')?.[1];
  hand(await response.blob(), named ?? 'tinybms-bridge');
  return true;
}

/** The moment in a name of a file: two of them do not replace each other. */
export function stamp(): string {
  return new Date().toISOString().slice(0, 19).replace(/[-:]/g, '').replace('T', '-');
}
