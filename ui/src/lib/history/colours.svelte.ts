// The colours of the tokens as a canvas needs them; they change with the look.
import { looks } from '../look.svelte';

const TOKENS = [
  'accent',
  'charge',
  'discharge',
  'warning',
  'warning-fill',
  'alarm',
  'alarm-fill',
  'quiet',
  'good',
  'line',
  'text',
] as const;
export type Token = (typeof TOKENS)[number];
export type Colours = Readonly<Record<Token, string>>;

function measured(): Colours {
  const probe = document.createElement('span');
  probe.hidden = true;
  document.body.append(probe);
  const found = TOKENS.map((token) => {
    probe.style.color = `var(--${token})`;
    return [token, getComputedStyle(probe).color];
  });
  probe.remove();
  return Object.fromEntries(found) as Colours;
}

export class Palette {
  private dark = $state(0);
  readonly colours = $derived.by(() => {
    void looks.look;
    void this.dark;
    return measured();
  });

  constructor() {
    const scheme = matchMedia('(prefers-color-scheme: dark)');
    $effect(() => {
      const changed = () => (this.dark += 1);
      scheme.addEventListener('change', changed);
      return () => scheme.removeEventListener('change', changed);
    });
  }
}

/** Returns a colour through which others are seen. */
export function faint(colour: string, alpha: number): string {
  return colour.replace(/^rgb\((.*)\)$/, `rgb($1 / ${alpha})`).replaceAll(',', '');
}
