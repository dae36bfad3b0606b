// Light, dark, or as the device is set.
import { keep, read } from './words.svelte';

export const LOOKS = ['auto', 'light', 'dark'] as const;
export type Look = (typeof LOOKS)[number];

const KEY = 'tinybms-look';

class Chosen {
  look = $state<Look>(LOOKS.find((each) => each === read(KEY)) ?? 'auto');

  constructor() {
    this.apply();
  }

  choose(look: Look): void {
    this.look = look;
    keep(KEY, look);
    this.apply();
  }

  private apply(): void {
    if (this.look === 'auto') delete document.documentElement.dataset.look;
    else document.documentElement.dataset.look = this.look;
  }
}

export const looks = new Chosen();
