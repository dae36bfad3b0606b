// Every page: the first one comes with the frame, the others are loaded when they are asked for.
import type { Component } from 'svelte';
import Overview from './Overview.svelte';

export type PageName = 'overview' | 'history' | 'settings' | 'bms' | 'diagnostics' | 'access' | 'setup';

type Load = () => Promise<{ default: Component }>;

export const PAGES: Partial<Record<PageName, Load>> = {
  overview: () => Promise.resolve({ default: Overview }),
  history: () => import('./History.svelte'),
  settings: () => import('./Settings.svelte'),
  diagnostics: () => import('./Diagnostics.svelte'),
  access: () => import('./Access.svelte'),
  setup: () => import('./Setup.svelte'),
  bms: () => import('./Bms.svelte'),
};
