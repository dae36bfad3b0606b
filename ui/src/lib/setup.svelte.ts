// The first start: where somebody left it, and what the bridge says is still to do.
import { api, login, type Schemas } from './api.svelte';
import { router } from './router.svelte';
import { choice, keep, read } from './words.svelte';

export type Item = Schemas['ChecklistItem'];

export const STEPS = ['language', 'administrator', 'port', 'output', 'gx', 'name'] as const;
export type Step = (typeof STEPS)[number];

const STEP = 'tinybms-setup';
const LEFT = 'tinybms-setup-left';

class Setup {
  /** As last answered; empty before. */
  items = $state.raw<Item[]>([]);
  /** Whether nothing is open; null before the first answer. */
  done = $state<boolean | null>(null);
  /** Somebody wants to see the battery first. */
  left = $state(read(LEFT) === 'yes');

  /** Whether the first page is the first start. */
  get first(): boolean {
    return login.session?.setup_required === true && !this.left;
  }

  get step(): Step {
    const asked = router.route.query.get('step') ?? read(STEP);
    return STEPS.find((each) => each === asked) ?? 'language';
  }

  item(name: string): Item | undefined {
    return this.items.find((each) => each.name === name);
  }

  go(step: Step): void {
    keep(STEP, step);
    router.go(`/setup?step=${step}`);
  }

  leave(): void {
    this.left = true;
    keep(LEFT, 'yes');
    router.go('/');
  }

  /** Asks what is still to do. */
  async look(): Promise<void> {
    try {
      const answer = await api.get('/api/setup/checklist', { query: { lang: choice.language }, quiet: true });
      this.items = answer.items;
      this.done = answer.done;
    } catch {
      /* the frame says that the bridge cannot be reached */
    }
  }

  /** Asks again and again until the returned function is called. */
  watch(everyMs: number): () => void {
    void this.look();
    const timer = setInterval(() => void this.look(), everyMs);
    return () => clearInterval(timer);
  }
}

export const setup = new Setup();
