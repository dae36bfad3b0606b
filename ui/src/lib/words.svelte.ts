// Words of the pages in the chosen language. Each page brings its own; what every page has is in `common`.
import common from '../generated/words/common';

export type Language = 'en' | 'fr';
export const LANGUAGES: Record<Language, string> = { en: 'English', fr: 'Français' };

type Words = Record<string, string>;
type Book = Readonly<Record<Language, Readonly<Words>>>;
type Parameters = Readonly<Record<string, string | number>>;

const KEY = 'tinybms-language';

function chosen(): Language {
  const kept = read(KEY);
  if (kept === 'en' || kept === 'fr') return kept;
  return navigator.language.toLowerCase().startsWith('fr') ? 'fr' : 'en';
}

/** What is kept in this browser; null where it keeps nothing, as in a private window. */
export function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

export function keep(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    /* it is chosen for this visit only */
  }
}

class Choice {
  language = $state<Language>(chosen());

  choose(language: Language): void {
    this.language = language;
    document.documentElement.lang = language;
    keep(KEY, language);
    document.cookie = `tinybms_language=${language}; path=/; max-age=31536000; samesite=strict`;
  }
}

export const choice = new Choice();

/** Puts parameters into words: `{name}`, and `{name:one|many}` for a word that follows a number. */
export function fill(words: string, parameters: Parameters, language: Language): string {
  return words.replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_, name: string, one?: string, many?: string) => {
    const value = parameters[name];
    if (one === undefined) return value === undefined ? '?' : String(value);
    const count = Math.abs(Number(value));
    return count === 1 || (language === 'fr' && count < 2) ? one : (many ?? one);
  });
}

/** Returns what says the words of a book, in the language that is chosen now. */
export function speaker<B extends Book>(book: B): (key: keyof B['en'] & string, parameters?: Parameters) => string {
  return (key, parameters = {}) => fill((book[choice.language] as Words)[key] ?? key, parameters, choice.language);
}

/** The words that every page has. */
export const say = speaker(common);
