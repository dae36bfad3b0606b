// Asking the bridge: paths, parameters and answers are those of its OpenAPI document, so that a changed field fails
// the build. Who is not logged in is asked to, and the request goes on then: nothing that was typed is lost.
import type { components, paths } from '../generated/schema';
import { choice } from './words.svelte';

export type Schemas = components['schemas'];
export type Session = Schemas['SessionState'];
export type Problem = Partial<Schemas['Problem']> & { status: number; message: string };

type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
type PathsOf<M extends Method> = { [P in keyof paths]: paths[P] extends Record<M, object> ? P : never }[keyof paths];
type Operation<P extends keyof paths, M extends Method> = paths[P][M & keyof paths[P]];
type Good = 200 | 201 | 202;
type AnswerOf<O> = O extends { responses: infer R }
  ? { [S in Good & keyof R]: R[S] extends { content: { 'application/json': infer T } } ? T : never }[Good & keyof R]
  : never;
type QueryOf<O> = O extends { parameters: { query?: infer Q } } ? Q : never;
type BodyOf<O> = O extends { requestBody?: { content: { 'application/json': infer B } } } ? B : never;

export interface Options<O> {
  /** What stands in the path between braces. */
  at?: Record<string, string | number>;
  query?: QueryOf<O> & object;
  body?: BodyOf<O>;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** Do not ask for a login: the answer says how it is without one. */
  quiet?: boolean;
}

/** The bridge said no, or could not be asked (status 0). */
export class ApiError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.message);
  }
}

class Login {
  session = $state<Session | null>(null);
  /** What has to be done first; the frame shows the form. */
  asked = $state<'login' | 'admin' | null>(null);
  /** The login has ended by itself; forms stay as they are until somebody logs in again, or out. */
  ended = $state(false);
  private waiting: ((granted: boolean) => void)[] = [];

  get isAdmin(): boolean {
    return this.session?.authenticated === true && this.session.role === 'admin';
  }

  /** Takes over what the bridge says of this browser. */
  take(session: Session): void {
    this.ended = this.session?.authenticated === true && !session.authenticated;
    this.session =
      this.ended && this.session !== null ? { ...this.session, open_reading: session.open_reading } : session;
  }

  /** Resolves to whether somebody has logged in. */
  ask(what: 'login' | 'admin'): Promise<boolean> {
    this.asked = what;
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  answer(granted: boolean): void {
    this.asked = null;
    for (const resolve of this.waiting.splice(0)) resolve(granted);
  }
}

export const login = new Login();

function address(path: string, options: Options<unknown>): string {
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(options.at?.[name] ?? '')));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value !== undefined && value !== null) query.set(name, String(value));
  }
  const text = query.toString();
  return text === '' ? filled : `${filled}?${text}`;
}

async function ask(method: Method, path: string, options: Options<unknown>): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': choice.language };
  Object.assign(headers, options.headers);
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  if (method !== 'get' && login.session?.csrf_token) headers['X-CSRF-Token'] = login.session.csrf_token;
  try {
    return await fetch(address(path, options), {
      method: method.toUpperCase(),
      headers,
      credentials: 'same-origin',
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ApiError({ status: 0, message: '' });
  }
}

async function problem(response: Response): Promise<Problem> {
  try {
    const body = (await response.json()) as Problem;
    return { ...body, status: response.status, message: body.message ?? response.statusText };
  } catch {
    return { status: response.status, message: response.statusText };
  }
}

/** Asks, with a login where one is needed and given. Throws ApiError. */
export async function request(method: Method, path: string, options: Options<unknown> = {}): Promise<Response> {
  let response = await ask(method, path, options);
  while (!response.ok) {
    const told = await problem(response);
    const needs = told.status === 401 ? 'login' : told.error === 'admin_required' ? 'admin' : null;
    const stale = told.error === 'csrf_failed' || told.error === 'csrf_token_required';
    if (stale && (await refresh())) {
      response = await ask(method, path, options);
      if (response.ok) break;
      throw new ApiError(await problem(response));
    }
    if (needs === null || options.quiet || path === '/api/login' || !(await login.ask(needs))) throw new ApiError(told);
    response = await ask(method, path, options);
  }
  return response;
}

async function json<T>(method: Method, path: string, options: Options<unknown>): Promise<T> {
  const response = await request(method, path, options);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const api = {
  get: <P extends PathsOf<'get'>>(path: P, options: Options<Operation<P, 'get'>> = {}) =>
    json<AnswerOf<Operation<P, 'get'>>>('get', path, options),
  post: <P extends PathsOf<'post'>>(path: P, options: Options<Operation<P, 'post'>> = {}) =>
    json<AnswerOf<Operation<P, 'post'>>>('post', path, options),
  put: <P extends PathsOf<'put'>>(path: P, options: Options<Operation<P, 'put'>> = {}) =>
    json<AnswerOf<Operation<P, 'put'>>>('put', path, options),
  patch: <P extends PathsOf<'patch'>>(path: P, options: Options<Operation<P, 'patch'>> = {}) =>
    json<AnswerOf<Operation<P, 'patch'>>>('patch', path, options),
  delete: <P extends PathsOf<'delete'>>(path: P, options: Options<Operation<P, 'delete'>> = {}) =>
    json<AnswerOf<Operation<P, 'delete'>>>('delete', path, options),
};

/** Learns who is logged in. Returns false when the bridge cannot be asked. */
export async function refresh(): Promise<boolean> {
  try {
    login.take(await api.get('/api/session', { quiet: true }));
    return true;
  } catch {
    return false;
  }
}

export async function logIn(username: string, password: string): Promise<void> {
  login.take(await api.post('/api/login', { body: { username, password }, quiet: true }));
  login.answer(true);
}

export async function logOut(): Promise<void> {
  await api.post('/api/logout', { quiet: true });
  login.session = null;
  await refresh();
}
