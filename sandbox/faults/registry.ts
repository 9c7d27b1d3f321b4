/** Faults by name: switched on over the control API, fired with a seeded chance, and journalled. */
import { createHash } from 'node:crypto';

/** The faults that exist; setting another name is refused. */
export const FAULTS = {
  timeout: 'the request is never answered (its connection ends after `delay_ms`, default 60 s)',
  http_429: 'answered with 429 before anything happens; `retry_after` seconds are stated unless null',
  http_500: 'answered with 500 before anything happens',
  http_502: 'answered with 502 before anything happens',
  http_503: 'answered with 503 before anything happens',
  http_504: 'answered with 504 before anything happens',
  answer_lost_after_accept: 'a submission is carried out, its answer is lost with the connection',
  try_again_later: 'a submission is answered with TRY_AGAIN_LATER and not queued',
  bad_seq_lag: 'a submission is refused with tx_bad_seq, as by a node that is a ledger behind, and not queued',
  success_then_fails: 'a contract call is taken, Trustless Work says SUCCESS, and it fails in its ledger',
  stale_index: 'the request is answered as of `ledgers` (default 5, at most 64) ago',
  xdr_duplicate: 'a build answers with the envelope that the same route gave before',
  xdr_wrong_amount: 'a build answers with an envelope that moves twice the amount',
  xdr_wrong_destination: 'a build answers with an envelope that names a stranger as the receiver',
  xdr_wrong_contract: 'a build answers with an envelope that calls another contract',
  xdr_extra_operation: 'a build answers with an envelope that also pays a stranger',
  xdr_foreign_auth: 'a build answers with an envelope that also authorises a transfer to a stranger',
  wrong_error_text: 'an error of Trustless Work carries the text of another one',
  stream_stall: 'the stream stays open and falls silent at its next event',
  stream_drop: 'the stream is cut at its next event',
  duplicate_events: 'the next event of a stream is sent twice',
  pruned_history: 'before the request: history is forgotten but for the latest `ledgers` (default 1)',
  frozen_trustline: 'before the request: the issuer freezes the USDC trustline of `address`',
  clawback: 'before the request: the issuer takes `amount` USDC (default all) back from `address`',
  archived_entry: 'before the next ledger: what the contract `address` keeps is archived',
  fee_surge: 'for `ledgers` (default 5) ledgers: only bids of `fee` stroops per operation (default 10 000) get in',
  network_reset: 'before the request: the network starts over, as a test network does',
} as const;

export type FaultName = keyof typeof FAULTS;

/** Those that happen to the network; by default once. */
export const ACTS = [
  'pruned_history',
  'frozen_trustline',
  'clawback',
  'archived_entry',
  'fee_surge',
  'network_reset',
] as const satisfies readonly FaultName[];

export type ActName = (typeof ACTS)[number];

/** What a fault is asked about. */
export interface FaultRequest {
  /** `horizon`, `rpc`, `trustless-work`; `core` where a submission reaches the ledger, through whichever of them */
  readonly face: string;
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  /** of a submitted transaction: hash (hex), source account, and the contract function it calls */
  readonly hash?: string;
  readonly source?: string;
  readonly fn?: string;
}

export interface FaultRule {
  readonly name: FaultName;
  /** 0…1, default 1 */
  readonly probability: number;
  /** fires at most this often; null is without end, which is the default of what does not happen to the network */
  readonly count: number | null;
  /** every part given must match: path and body contain the text, the others are equal to it */
  readonly match: Partial<FaultRequest>;
  readonly retryAfter: number | null;
  readonly delayMs: number;
  readonly ledgers?: number;
  /** account or contract */
  readonly address?: string;
  /** decimal, in USDC */
  readonly amount?: string;
  /** stroops per operation */
  readonly fee?: number;
}

interface Firing {
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
  /** Whether any rule could still strike. */
  any(): boolean;
  /** The rule that strikes this request now, or undefined; a hit is counted and journalled. */
  check(name: FaultName, request: FaultRequest): FaultRule | undefined;
  /** The latest firings, oldest first. */
  journal(): readonly Firing[];
}

const MAX_FIRINGS = 10_000;

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

const isSpent = ({ rule, fired }: { rule: FaultRule; fired: number }): boolean =>
  rule.count !== null && fired >= rule.count;

const isAct = (name: FaultName): boolean => ACTS.some((act) => act === name);

/** @param ledger the latest ledger's number, for the journal */
export function createFaults(seed: string, ledger: () => number): Faults {
  let rules: { rule: FaultRule; fired: number; chance: () => number }[] = [];
  const firings: Firing[] = [];
  let created = 0;
  return {
    set: (given) => {
      const count = isAct(given.name) ? 1 : null;
      const rule = { probability: 1, count, match: {}, retryAfter: 1, delayMs: 60_000, ...given };
      created += 1;
      rules.push({ rule, fired: 0, chance: createChance(`${seed}/${rule.name}/${created}`) });
      return rule;
    },
    clear: (name) => {
      rules = name === undefined ? [] : rules.filter(({ rule }) => rule.name !== name);
    },
    list: () => rules.map(({ rule, fired }) => ({ ...rule, fired })),
    any: () => rules.some((one) => !isSpent(one)),
    check: (name, request) => {
      const struck = rules.find((one) => {
        const { rule, chance } = one;
        if (rule.name !== name || isSpent(one) || !matches(rule.match, request)) return false;
        return rule.probability >= 1 || chance() < rule.probability;
      });
      if (struck === undefined) return undefined;
      struck.fired += 1;
      firings.push({ name, request, ledger: ledger() });
      if (firings.length > MAX_FIRINGS) firings.shift();
      return struck.rule;
    },
    journal: () => firings,
  };
}
