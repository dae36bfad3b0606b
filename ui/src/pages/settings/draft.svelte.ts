// What somebody has typed and not saved yet. It survives a reload, an ended session and a lost connection, and knows
// what others have saved meanwhile: nobody overwrites without having been told.
import { ApiError, api, request, type Problem, type Schemas } from '../../lib/api.svelte';
import { choice } from '../../lib/words.svelte';
import { flat, groupsOf, nested, same, typedOf, valueOf } from './keys';
import type { Group, Json, Key, Typed, Values } from './keys';

export type Saved = Schemas['Saved'];
export type Effective = Schemas['EffectiveAnswer'];
type Curve = Schemas['CurveAnswer'];
type Mistake = { path: string; message: string };

export interface Other {
  path: string;
  old: Json;
  new: Json;
}

const KEY = 'tinybms-settings-draft';

interface Kept {
  typed: Record<string, Typed>;
  /** The values that the typed ones were to replace. */
  over: Values;
}

export class Draft {
  groups = $state.raw<Group[]>([]);
  /** What the bridge has in force. */
  base = $state.raw<Values>({});
  typed = $state<Record<string, Typed>>({});
  /** What the server has said of single keys, until they are typed anew. */
  refused = $state<Record<string, string>>({});
  /** What was refused and belongs to no field. */
  problem = $state('');
  /** What others have saved since this page was opened. */
  others = $state<Other[]>([]);
  /** Whether saving was asked for: then every mistake is called one. */
  insists = $state(false);
  /** What the settings in force come to on this battery. */
  effective = $state.raw<Effective | null>(null);
  curves = $derived<Record<string, Curve>>(
    Object.fromEntries(this.effective?.curves.map((curve) => [`cvl.curves.${curve.name}`, curve]) ?? []),
  );
  keys = $derived(new Map(this.groups.flatMap((group) => group.keys).map((key) => [key.path, key])));
  /** The keys with another value than is in force, and those whose value is not accepted. */
  changed = $derived(Object.keys(this.typed).filter((path) => this.differs(path)));
  wrong = $derived(this.changed.filter((path) => this.error(path) !== ''));
  private tag = '';
  private over: Values = {};

  get loaded(): boolean {
    return this.groups.length > 0 && Object.keys(this.base).length > 0;
  }

  /** Asks for form and values. Throws ApiError. */
  async load(): Promise<void> {
    const schema = await api.get('/api/settings/schema', { query: { lang: choice.language } });
    this.groups = groupsOf(schema);
    if (Object.keys(this.base).length === 0) this.restore();
    await this.renew();
  }

  /** Asks again for what is in force, and learns what others have changed; `quiet`: without a login. Throws ApiError. */
  async renew(quiet = false): Promise<void> {
    const response = await request('get', '/api/settings', { quiet });
    const tag = response.headers.get('ETag') ?? '';
    const values = flat(await response.json(), [...this.keys.values()]);
    if (tag !== this.tag) this.take(values);
    this.tag = tag;
    this.effective = await api.get('/api/settings/effective', { quiet });
  }

  /** The name of a key for people; a section, and what there is no key of, has its path. */
  title(path: string): string {
    return this.keys.get(path)?.title ?? this.groups.find((group) => group.path === path)?.title ?? path;
  }

  value(path: string): Json | undefined {
    const key = this.keys.get(path);
    const typed = this.typed[path];
    return key === undefined || typed === undefined ? this.base[path] : valueOf(key, $state.snapshot(typed) as Typed);
  }

  /** What stands in the editor. */
  shown(key: Key): Typed {
    const typed = this.typed[key.path];
    return typed === undefined ? typedOf(key, this.base[key.path] ?? null) : typed;
  }

  /** What counts while the key is left to itself; null where nobody knows, or a person has chosen. */
  automatic(path: string): Json {
    return this.differs(path) ? null : (this.effective?.values[path] ?? null);
  }

  type(key: Key, typed: Typed): void {
    delete this.refused[key.path];
    this.problem = '';
    this.typed[key.path] = typed;
    this.keep();
  }

  /** Takes a key to its default, which is saved as the others are. */
  reset(key: Key): void {
    this.type(key, typedOf(key, key.fallback));
  }

  /** Takes back what was typed. */
  undo(path: string): void {
    delete this.refused[path];
    delete this.typed[path];
    this.keep();
  }

  discard(): void {
    this.typed = {};
    this.insists = false;
    this.refused = {};
    this.problem = '';
    this.others = [];
    this.keep();
  }

  /** Why a value cannot be saved; empty where nothing is known against it. */
  error(path: string): string {
    const key = this.keys.get(path);
    return this.refused[path] ?? (key !== undefined && this.value(path) === undefined ? key.rule : '');
  }

  isDefault(key: Key): boolean {
    return same(this.value(key.path), key.fallback);
  }

  differs(path: string): boolean {
    return this.typed[path] !== undefined && !same(this.value(path), this.base[path]);
  }

  /** What saving would change. Throws ApiError, after what was refused is at its fields. */
  review(): Promise<Saved> {
    return this.send('post', this.patch(), true);
  }

  /** Saves. Throws ApiError, after what was refused is at its fields. */
  async save(): Promise<Saved> {
    const saved = await this.send('post', this.patch(), false);
    this.insists = false;
    const kept = Object.entries(this.typed).filter(([path]) => this.value(path) === undefined);
    this.typed = Object.fromEntries(kept);
    this.keep();
    return saved;
  }

  /** Does the same with a whole configuration from a file. */
  replace(document: unknown, dryRun: boolean): Promise<Saved> {
    return this.send('put', document, dryRun);
  }

  private patch(): unknown {
    const values: Values = {};
    for (const path of this.changed) {
      const value = this.value(path) ?? null;
      values[path] = same(value, this.keys.get(path)?.fallback) ? null : value;
    }
    return nested(values);
  }

  private async send(method: 'post' | 'put', body: unknown, dryRun: boolean): Promise<Saved> {
    this.refused = {};
    this.problem = '';
    let response: Response;
    try {
      response = await request(method, '/api/settings', {
        body: body as never,
        query: { dry_run: dryRun, lang: choice.language } as never,
        headers: { 'If-Match': this.tag },
      });
    } catch (error) {
      if (error instanceof ApiError) await this.refuse(error.problem);
      throw error;
    }
    const saved = (await response.json()) as Saved;
    if (!dryRun) {
      this.tag = response.headers.get('ETag') ?? '';
      const values = Object.fromEntries(saved.differences?.map(({ path, new: value }) => [path, value as Json]) ?? []);
      this.base = { ...this.base, ...values };
      this.others = [];
    }
    return saved;
  }

  private async refuse(problem: Problem): Promise<void> {
    if (problem.status === 412) {
      await this.renew();
      return;
    }
    for (const { path, message } of ((problem as { errors?: Mistake[] }).errors ?? []) as Mistake[]) {
      if (this.keys.has(path)) this.refused[path] ??= message;
      else this.problem = path === '' ? message : `${path}: ${message}`;
    }
  }

  /** Has values of the bridge in the place of the present ones. */
  private take(values: Values): void {
    const before = this.loaded ? this.base : this.over;
    this.base = values;
    for (const path of Object.keys(values)) {
      if (path in before && !same(before[path], values[path])) {
        const first = this.others.find((other) => other.path === path);
        this.others = this.others.filter((other) => other.path !== path);
        this.others.push({ path, old: first?.old ?? before[path] ?? null, new: values[path] ?? null });
      }
    }
    for (const path of Object.keys(this.typed)) if (!this.differs(path)) delete this.typed[path];
  }

  private keep(): void {
    const paths = Object.keys(this.typed).filter((path) => this.keys.get(path)?.kind !== 'secret');
    const kept: Kept = {
      typed: Object.fromEntries(paths.map((path) => [path, $state.snapshot(this.typed[path]) as Typed])),
      over: Object.fromEntries(paths.map((path) => [path, this.base[path] ?? null])),
    };
    try {
      if (paths.length === 0) sessionStorage.removeItem(KEY);
      else sessionStorage.setItem(KEY, JSON.stringify(kept));
    } catch {
      /* it lasts as long as the page */
    }
  }

  private restore(): void {
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEY) ?? 'null') as Kept | null;
      if (kept === null) return;
      const known = Object.entries(kept.typed).filter(([path]) => this.keys.has(path));
      this.typed = Object.fromEntries(known);
      this.over = kept.over;
    } catch {
      /* of an older version */
    }
  }
}
