// Builds the pages into the package of the web server: hashed names, compressed beside nothing else.
// `npm run dev` serves them with a running bridge behind: BRIDGE=http://localhost:8080 npm run dev
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

const bridge = process.env.BRIDGE ?? 'http://localhost:8080';

/** Replaces every file but the first page by its compressed form, which is what the server keeps and sends. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    generateBundle: {
      order: 'post', // Vite fills in what a page needs beside its script when all others are done
      handler(_, bundle) {
        for (const [name, entry] of Object.entries(bundle)) {
          if (!/\.(js|css|svg|webmanifest)$/.test(name)) continue;
          const source = entry.type === 'chunk' ? entry.code : entry.source;
          this.emitFile({ type: 'asset', fileName: `${name}.gz`, source: gzipSync(source, { level: 9 }) });
          delete bundle[name];
        }
      },
    },
  };
}

export default defineConfig({
  plugins: [svelte(), compressed()],
  build: {
    outDir: process.env.UI_OUT ?? '../src/tinybms_bridge/services/web/ui',
    emptyOutDir: true,
    target: ['es2022', 'chrome100', 'firefox102', 'safari16'],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  test: { setupFiles: ['src/test-setup.ts'] },
  server: { proxy: { '/api': bridge, '/ws': { target: bridge, ws: true } } },
});
