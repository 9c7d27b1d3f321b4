/** Faults by name: switched on over the control API, fired with a seeded chance, and journalled. */
import { createHash } from 'node:crypto';

/** The faults that exist; setting another name is refused. */
export const FAULTS = {
  timeout: 'the request is never answered (its connection ends after `delay_ms`, default 60 s)',
  http_503: 'answered with 503 before anything happens',
  http_429: 'answered with 429 before anything happens; `retry_after` seconds are stated unless null',
  answer_lost_after_accept: 'a submission is carried out, its answer is lost with the connection',
  try_again_later: 'the ledger core answers TRY_AGAIN_LATER and queues nothing',
} as const;

export type FaultName = keyof typeof FAULTS;

/** What a fault is asked about. */
export interface FaultRequest {
  /** `horizon`, `rpc`, `trustless-work`, or `core` for submissions themselves */
  readonly face: string;
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  readonly hash?: string;
}

export interface FaultRule {
  readonly name: FaultName;
  /** 0…1, default 1 */
  readonly probability: number;
  /** fires at most this often; null is without end */
  readonly count: number | null;
  /** every part given must match: equal face, method and hash; path and body contain the text */
  readonly match: Partial<FaultRequest>;
  readonly retryAfter: number | null;
  readonly delayMs: number;
}

export interface Firing {
  readonly name: FaultName;
  readonly request: FaultRequest;
  readonly ledger: number;
}

export interface Faults {
  /** Adds a rule; several of one name may stand side by side. */
  set(rule: Partial<FaultRule> & { readonly name: FaultName }): FaultRule;
  /** Removes the rules of one name, or all. */
  clear(name?: FaultName): void;
  list(): (FaultRule & { readonly fired: number })[];
  /** The rule that strikes this request now, or undefined; a hit is counted and journalled. */
  check(name: FaultName, request: FaultRequest): FaultRule | undefined;
  journal(): readonly Firing[];
}

/** A repeatable sequence of numbers in [0, 1). */
function createChance(seed: string): () => number {
  let count = 0;
  return () => {
    count += 1;
    return createHash('sha256').update(`${seed}/${count}`).digest().readUInt32BE(0) / 2 ** 32;
  };
}

function matches(pattern: Partial<FaultRequest>, request: FaultRequest): boolean {
  return Object.entries(pattern).every(([part, text]) => {
    const actual = request[part as keyof FaultRequest];
    return part === 'path' || part === 'body' ? actual?.includes(text) === true : actual === text;
  });
}

/** @param ledger the latest ledger's number, for the journal */
export function createFaults(seed: string, ledger: () => number): Faults {
  let rules: { rule: FaultRule; fired: number; chance: () => number }[] = [];
  const firings: Firing[] = [];
  let created = 0;
  return {
    set: (given) => {
      const rule = { probability: 1, count: null, match: {}, retryAfter: 1, delayMs: 60_000, ...given };
      created += 1;
      rules.push({ rule, fired: 0, chance: createChance(`${seed}/${rule.name}/${created}`) });
      return rule;
    },
    clear: (name) => {
      rules = name === undefined ? [] : rules.filter(({ rule }) => rule.name !== name);
    },
    list: () => rules.map(({ rule, fired }) => ({ ...rule, fired })),
    check: (name, request) => {
      const struck = rules.find(({ rule, fired, chance }) => {
        if (rule.name !== name || (rule.count !== null && fired >= rule.count)) return false;
        return matches(rule.match, request) && (rule.probability >= 1 || chance() < rule.probability);
      });
      if (struck === undefined) return undefined;
      struck.fired += 1;
      firings.push({ name, request, ledger: ledger() });
      return struck.rule;
    },
    journal: () => firings,
  };
}
