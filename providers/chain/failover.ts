/**
 * Several providers of one network behind one port. A call goes to one of them, and to another when that one is in
 * trouble; answers that are put together come from one alone (`pinned`), because two of them stand at different ledgers.
 * Nobody is believed before it named our network: on another one everything is absent, which would look like death.
 */
import { ProviderError, type ProviderName } from '../errors.ts';
import { type Budget, createBudget } from '../limits/budget.ts';
import type { ProviderWatch } from '../limits/watch.ts';
import type { Head, Pooled } from './port.ts';

/** How far a provider may stay behind the foremost: the sloth of a node behind a load balancer, not of one that is stuck. */
const LAG_LEDGERS = 12;
/** Providers are compared that often while they are in use. */
const CHECK_MS = 10_000;
/** In one call, the next one is asked only while there is time for its answer. */
const FAILOVER_WITHIN_MS = 1_500;
const FIRST_AVOIDANCE_MS = 1_000;
const LONGEST_AVOIDANCE_MS = 30_000;
const LONGEST_HOLD_MS = 600_000;

interface PoolOptions<P> {
  readonly provider: ProviderName;
  /** in order of preference; at least one */
  readonly endpoints: readonly { readonly name: string; readonly port: P }[];
  readonly probe: (port: P) => Promise<Head>;
  readonly networkPassphrase: string;
  /** requests per minute that this process may make of each endpoint; 0: no limit */
  readonly perMinute: number;
  readonly watch: ProviderWatch;
}

interface Member<P> {
  readonly name: string;
  readonly port: P;
  readonly budget: Budget;
  /** as last looked at; null until it was, and again after trouble */
  head: Head | null;
  checkedAt: number;
  /** the look that is under way: who comes meanwhile shares it */
  looking: Promise<Error | null> | null;
  failures: number;
  /** others are preferred until then */
  avoidUntil: number;
  /** it asked to be left alone until then */
  holdUntil: number;
}

const now = (): number => performance.now();

/** A port of which every method answers with a promise, each call handed to `run`. */
function through<P extends object>(template: P, run: (call: (port: P) => Promise<unknown>) => Promise<unknown>): P {
  type Method = (...args: readonly unknown[]) => Promise<unknown>;
  const method =
    (name: string): Method =>
    (...args) =>
      run((port) => Reflect.apply(Reflect.get(port, name) as Method, port, args));
  return Object.fromEntries(Object.keys(template).map((name) => [name, method(name)])) as P;
}

/** How a call went: trouble is remembered and reported; a refusal is an answer like any other. */
function judge<P>(member: Member<P>, error: unknown, watch: ProviderWatch): void {
  const kind = error instanceof ProviderError ? error.kind : null;
  if (error === null || kind === 'REFUSED') {
    member.failures = 0;
    member.avoidUntil = 0;
    watch.answered(member.name);
  } else if (error instanceof ProviderError && kind !== 'THROTTLED') {
    member.failures += 1;
    member.head = null;
    member.avoidUntil = now() + Math.min(LONGEST_AVOIDANCE_MS, FIRST_AVOIDANCE_MS * 2 ** Math.min(member.failures, 9));
    if (error.retryAfterMs !== null) member.holdUntil = now() + Math.min(error.retryAfterMs, LONGEST_HOLD_MS);
    watch.failed(member.name, error);
  }
}

/** @throws ProviderError THROTTLED when it may not be asked now */
async function admit<P>({ provider }: PoolOptions<P>, { name, budget, holdUntil }: Member<P>): Promise<void> {
  const heldMs = Math.ceil(holdUntil - now());
  const waitMs = heldMs > 0 ? heldMs : await budget.take();
  if (waitMs > 0) throw new ProviderError('THROTTLED', provider, `${name} is asked later`, { retryAfterMs: waitMs });
}

/** One request to one provider. */
async function ask<P, T>(options: PoolOptions<P>, member: Member<P>, call: (port: P) => Promise<T>): Promise<T> {
  try {
    await admit(options, member);
    const answer = await call(member.port);
    judge(member, null, options.watch);
    return answer;
  } catch (error) {
    judge(member, error, options.watch);
    throw error;
  }
}

/** Looks where members stand. */
function createLooks<P>(options: PoolOptions<P>, members: readonly Member<P>[]) {
  const { provider, probe, networkPassphrase, watch } = options;

  const look = async (member: Member<P>): Promise<Error | null> => {
    member.checkedAt = now();
    try {
      await admit(options, member);
      const head = await probe(member.port);
      if (head.networkPassphrase !== networkPassphrase)
        throw new ProviderError('UNAVAILABLE', provider, `${member.name} serves another network`);
      member.head = head;
      return null;
    } catch (error) {
      judge(member, error, watch);
      return error instanceof Error ? error : new Error(String(error));
    } finally {
      member.looking = null;
    }
  };

  const lag = (member: Member<P>): number =>
    Math.max(...members.map(({ head }) => head?.latestLedger ?? 0)) - (member.head?.latestLedger ?? 0);

  return {
    lags: (member: Member<P>) => lag(member) > LAG_LEDGERS,
    /** Resolves with the first error, or null. */
    run: async (due: readonly Member<P>[]): Promise<Error | null> => {
      const errors = await Promise.all(due.map((member) => (member.looking ??= look(member))));
      for (const member of due.filter(({ head }) => head !== null)) {
        if (lag(member) > LAG_LEDGERS) watch.failed(member.name, new Error(`${lag(member)} ledgers behind`));
        else judge(member, null, watch);
      }
      return errors.find((error) => error !== null) ?? null;
    },
  };
}

/** @throws ProviderError from every method, when no provider could answer */
export function createPool<P extends object>(options: PoolOptions<P>): Pooled<P> {
  const { provider } = options;
  const members: Member<P>[] = options.endpoints.map((endpoint) => ({
    ...endpoint,
    budget: createBudget(options.perMinute),
    head: null,
    checkedAt: Number.NEGATIVE_INFINITY,
    looking: null,
    failures: 0,
    avoidUntil: 0,
    holdUntil: 0,
  }));
  const [first] = members;
  if (first === undefined) throw new RangeError(`no ${provider}`);
  const looks = createLooks(options, members);
  let current = first;

  const known = (without: ReadonlySet<Member<P>>): Member<P>[] =>
    members.filter((member) => member.head !== null && !without.has(member));
  const isWell = (member: Member<P>): boolean =>
    Math.max(member.avoidUntil, member.holdUntil) <= now() && !looks.lags(member);

  /** The one in use while it is well, else the first that is; `since` wants a history that reaches back to that ledger. */
  const choose = async (without: ReadonlySet<Member<P>>, since?: number): Promise<Member<P>> => {
    const unknown = members.filter((member) => member.head === null && !without.has(member));
    const error = known(without).some(isWell) ? null : await looks.run(unknown);
    const due = members.filter((member) => member.checkedAt + CHECK_MS <= now() && member.avoidUntil <= now());
    if (members.length > 1 && due.length > 0) void looks.run(due);
    const able = known(without);
    const well = able.filter(isWell);
    const reaching = well.filter(({ head }) => since === undefined || (head !== null && head.oldestLedger <= since));
    const preferred = [reaching, well, able.toSorted((a, b) => a.holdUntil - b.holdUntil)].find(
      ({ length }) => length > 0,
    );
    const chosen = preferred?.includes(current) === true ? current : preferred?.[0];
    if (chosen === undefined) throw error ?? new ProviderError('UNAVAILABLE', provider, 'no provider answers');
    if (since === undefined) current = chosen;
    return chosen;
  };

  const run = async (call: (port: P) => Promise<unknown>): Promise<unknown> => {
    const tried = new Set<Member<P>>();
    const until = now() + FAILOVER_WITHIN_MS;
    for (;;) {
      const member = await choose(tried);
      try {
        return await ask(options, member, call);
      } catch (error) {
        tried.add(member);
        const passing = error instanceof ProviderError && error.kind !== 'REFUSED';
        if (!passing || tried.size === members.length || now() > until) throw error;
      }
    }
  };

  return {
    ...through(first.port, run),
    pinned: async (since) => {
      const member = await choose(new Set(), since);
      return through(first.port, (call) => ask(options, member, call));
    },
  };
}
