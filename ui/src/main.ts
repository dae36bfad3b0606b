import { mount } from 'svelte';
import App from './App.svelte';
import { live, type Boot } from './lib/live.svelte';
import { choice } from './lib/words.svelte';
import './styles/app.css';

function boot(): Boot {
  try {
    return JSON.parse(document.getElementById('boot')?.textContent ?? '') as Boot;
  } catch {
    return { session: null, overview: null, version: '' }; // `npm run dev` serves no state
  }
}

// A page of an older program asks for parts that are not there any more.
addEventListener('vite:preloadError', (event) => {
  event.preventDefault();
  live.newVersion ||= '?';
});

const target = document.getElementById('app');
if (target !== null) {
  document.documentElement.lang = choice.language;
  live.start(boot());
  target.replaceChildren();
  mount(App, { target });
  document.documentElement.dataset.ready = 'yes';
}
