// Which page is shown, by the path of the address. A page that holds what somebody typed may ask before it is left.
export interface Route {
  name: string;
  /** What follows the name in the path. */
  rest: string[];
  query: URLSearchParams;
}

function parse(location: { pathname: string; search: string }): Route {
  const [name = '', ...rest] = location.pathname
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  return { name: name === '' ? 'overview' : name, rest, query: new URLSearchParams(location.search) };
}

class Router {
  route = $state<Route>(parse(location));
  /** Returns whether the page may be left. */
  guard: (() => boolean) | null = null;
  private shown = location.pathname + location.search;

  constructor() {
    addEventListener('popstate', () => {
      const path = location.pathname + location.search;
      if (path === this.shown) return; // only the part behind # has changed
      if (this.mayLeave()) {
        this.show(path);
      } else {
        history.pushState(null, '', this.shown);
      }
    });
    addEventListener('beforeunload', (event) => {
      if (this.guard !== null) event.preventDefault();
    });
    document.addEventListener('click', (event) => this.click(event));
  }

  /** Goes to a page of ours, and to a place on it that its ``#`` names. */
  go(path: string): void {
    const page = path.split('#')[0] as string;
    if (page === this.shown || !this.mayLeave()) return;
    history.pushState(null, '', path);
    this.show(page);
    scrollTo(0, 0);
  }

  /** Changes the query of the page that is shown, without a step in the history of the browser. */
  ask(query: Record<string, string | null>): void {
    const parameters = new URLSearchParams(location.search);
    for (const [name, value] of Object.entries(query)) {
      if (value === null) parameters.delete(name);
      else parameters.set(name, value);
    }
    const text = parameters.toString();
    const path = text === '' ? location.pathname : `${location.pathname}?${text}`;
    history.replaceState(null, '', path);
    this.show(path);
  }

  private mayLeave(): boolean {
    if (this.guard !== null && !this.guard()) return false;
    this.guard = null;
    return true;
  }

  private show(path: string): void {
    this.shown = path;
    this.route = parse(location);
  }

  private click(event: MouseEvent): void {
    const link = (event.target as Element).closest?.('a');
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute('download')) return;
    const url = new URL(link.href, location.href);
    if (url.origin !== location.origin || !isPage(url.pathname)) return;
    if (url.pathname === location.pathname && url.hash !== '') return;
    event.preventDefault();
    this.go(url.pathname + url.search + url.hash);
  }
}

/** What the server keeps for itself. */
function isPage(path: string): boolean {
  return !/^\/(api|docs|assets|ws|healthz|readyz)(\/|$)/.test(path);
}

export const router = new Router();
