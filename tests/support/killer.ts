/**
 * Ends a process between two things it says to the outside: before the n-th SQL statement or HTTP request from now on,
 * whichever connection it uses. What was said before has its effect; what comes after is never said.
 */
import pg from 'pg';

/** The ledger's posting function is called by a select of its own. */
const QUESTION = /^\s*(begin|select (?!\* from ledger_post))/i;
const CHANGING = /sendTransaction|\/indexer\//;

export class Killed extends Error {
  override readonly name = 'Killed';
}

export interface Said {
  readonly what: string;
  /** whether it changes anything outside: a process that dies before one question or before the next is the same */
  readonly changes: boolean;
}

interface Killer {
  /** what the process has said so far */
  readonly said: readonly Said[];
  /** rejects with `Killed` when the process ended */
  readonly death: Promise<never>;
  restore(): void;
}

/** @param dies before it says this one (counted from 1); null: it lives */
export function watch(applicationName: string, dies: number | null): Killer {
  const said: Said[] = [];
  let end: (error: Killed) => void = () => undefined;
  const death = new Promise<never>((_resolve, reject) => {
    end = reject;
  });
  death.catch(() => undefined);
  /** @returns null when the process is dead: the answer never comes */
  const say = (what: string, changes: boolean): Promise<never> | null => {
    said.push({ what, changes });
    if (dies === null || said.length < dies) return null;
    end(new Killed(`before ${what}, the ${said.length}th`));
    return new Promise<never>(() => undefined);
  };
  const { query } = pg.Client.prototype;
  const { fetch } = globalThis;
  const spoken = function (
    this: pg.Client & { connectionParameters: { application_name: string } },
    ...args: unknown[]
  ) {
    const ours = this.connectionParameters.application_name === applicationName;
    const [statement] = args;
    const text = typeof statement === 'string' ? statement : ((statement as { text?: string }).text ?? '');
    const stopped = ours ? say(text.trim().slice(0, 60), !QUESTION.test(text)) : null;
    return stopped ?? Reflect.apply(query, this, args);
  };
  Object.defineProperty(pg.Client.prototype, 'query', { value: spoken, configurable: true, writable: true });
  globalThis.fetch = (url, init) => {
    const { pathname } = new URL(String(url));
    return say(pathname, CHANGING.test(`${pathname} ${String(init?.body)}`)) ?? fetch(url, init);
  };
  return {
    said,
    death,
    restore: () => {
      Object.defineProperty(pg.Client.prototype, 'query', { value: query, configurable: true, writable: true });
      globalThis.fetch = fetch;
    },
  };
}
