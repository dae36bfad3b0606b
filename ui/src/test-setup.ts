// What the modules ask of a browser when they are loaded.
for (const [name, value] of Object.entries({
  navigator: { language: 'en' },
  document: { documentElement: { lang: '', dataset: {} }, cookie: '' },
})) {
  Object.defineProperty(globalThis, name, { value, configurable: true });
}
