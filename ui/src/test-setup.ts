// What the modules ask of a browser when they are loaded.
Object.assign(globalThis, {
  navigator: { language: 'en' },
  document: { documentElement: { lang: '', dataset: {} } },
});
