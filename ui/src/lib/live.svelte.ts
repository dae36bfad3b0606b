// What the bridge says each second, and how fresh that is. A page that lost the connection keeps what it showed, grey,
// and goes on by itself.
import { login, refresh, type Schemas } from './api.svelte';
import { choice, type Language } from './words.svelte';

export type Overview = Schemas['OverviewAnswer'];

export interface Boot {
  session: Schemas['SessionState'] | null;
  overview: Overview | null;
  version: string;
}

const STALE_MS = 3500;
/** Three messages are missing. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

type Topic = 'overview' | 'can' | 'events';
type Listener = (message: never) => void;

class Live {
  overview = $state.raw<Overview | null>(null);
  connected = $state(false);
  /** When the last overview came, by the clock of this machine. */
  heardAt = $state(0);
  /** Moves on once a second, for whatever shows an age. */
  now = $state(Date.now());
  /** Of the program with which this page came. */
  version = '';
  /** Of the program that answers now. */
  newVersion = $state('');
  /** Why the bridge sends nothing, in the words of the server. */
  refused = $state('');

  /** Whether there was a connection and there is none now. */
  private lost = $state(false);
  private socket: WebSocket | null = null;
  private pauseMs = FIRST_PAUSE_MS;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private listeners = new Map<Topic, Set<Listener>>();

  /** Whether what is shown is old, because nothing has come for a while. */
  get stale(): boolean {
    return this.heardAt !== 0 && (this.lost || this.now - this.heardAt > STALE_MS);
  }

  get lostForS(): number {
    return Math.max(0, (this.now - this.heardAt) / 1000);
  }

  /** Age of the data in seconds, with the time since it came; null when there is none. */
  get ageS(): number | null {
    const age = this.overview?.age_ms;
    return age === null || age === undefined ? null : age / 1000 + this.lostForS;
  }

  start(boot: Boot): void {
    this.version = boot.version;
    login.session = boot.session;
    if (boot.overview !== null) this.take(boot.overview);
    setInterval(() => this.tick(), 1000);
    addEventListener('online', () => this.connectNow());
    document.addEventListener('visibilitychange', () => {
      if (document.visibilityState === 'visible') this.tick();
    });
    this.connect();
  }

  /** Calls `listener` with each message of a topic until the returned function is called. */
  follow<T>(topic: Topic, listener: (message: T) => void): () => void {
    const all = this.listeners.get(topic) ?? new Set();
    this.listeners.set(topic, all);
    all.add(listener as Listener);
    this.subscribe();
    return () => {
      all.delete(listener as Listener);
      this.subscribe();
    };
  }

  /** Asks for the messages in a language; after a login, asks anew. */
  subscribe(language: Language = choice.language): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const topics = new Set<string>(['overview']);
    for (const [topic, listeners] of this.listeners) if (listeners.size > 0) topics.add(topic);
    this.socket.send(JSON.stringify({ subscribe: [...topics], lang: language, interval_ms: 1000 }));
  }

  /** Begins anew, for example after a login. */
  reconnect(): void {
    this.socket?.close();
    this.connectNow();
  }

  private tick(): void {
    const before = this.now;
    this.now = Date.now();
    const slept = this.now - before > 10_000;
    if (slept || (this.connected && this.now - this.heardAt > 3 * STALE_MS)) this.reconnect();
  }

  private connectNow(): void {
    this.pauseMs = FIRST_PAUSE_MS;
    if (this.socket === null || this.socket.readyState >= WebSocket.CLOSING) this.connect();
  }

  private connect(): void {
    clearTimeout(this.timer);
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/ws`);
    this.socket = socket;
    socket.addEventListener('open', () => {
      if (socket !== this.socket) return;
      this.subscribe();
    });
    socket.addEventListener('message', (event) => {
      if (socket === this.socket) this.hear(String(event.data));
    });
    socket.addEventListener('close', (event) => {
      if (socket !== this.socket) return;
      this.lost ||= this.connected;
      this.connected = false;
      this.refused = event.code === 1008 || event.code === 1013 ? event.reason : '';
      if (event.code === 1008) void refresh(); // a login has ended, or reading was closed
      this.timer = setTimeout(() => this.connect(), this.pauseMs * (0.8 + 0.4 * Math.random()));
      this.pauseMs = Math.min(LONGEST_PAUSE_MS, this.pauseMs * 2);
    });
  }

  private hear(text: string): void {
    const message = JSON.parse(text) as { topic?: Topic };
    if (message.topic === 'overview') {
      if (!this.connected) void refresh();
      this.connected = true;
      this.lost = false;
      this.refused = '';
      this.pauseMs = FIRST_PAUSE_MS;
      this.take(message as unknown as Overview);
    }
    for (const listener of this.listeners.get(message.topic as Topic) ?? []) listener(message as never);
  }

  private take(overview: Overview): void {
    this.overview = overview;
    this.now = this.heardAt = Date.now();
    if (overview.version !== this.version) this.newVersion = overview.version;
  }
}

export const live = new Live();
