/** Finding out what became of an envelope that may have landed: facts of the chain only, and never a guess. */
import { isDead, isOver, isPruned } from '../../domain/proof-of-death.ts';
import type { ChainRpc, TransactionOutcome } from '../../providers/chain/port.ts';
import { ProviderError } from '../../providers/errors.ts';
import type { Deps } from '../context.ts';

export type Landed = Extract<TransactionOutcome, { status: 'LANDED' }>;

/** By whichever kind of provider knows it: an RPC forgets within days. Null: neither does. @throws ProviderError */
export async function findLanded(
  { rpc, history }: Pick<Deps, 'rpc' | 'history'>,
  hash: string,
): Promise<Landed | null> {
  const recent = await rpc.transaction(hash);
  if (recent.status === 'LANDED') return recent;
  const older = await history.transaction(hash);
  return older.status === 'LANDED' ? older : null;
}

/** What is known of the envelope itself. */
export interface Sought {
  readonly innerHash: string;
  readonly source: string;
  readonly sequence: bigint;
  /** unix seconds on chain time */
  readonly maxTime: bigint;
  readonly maxLedger: number | null;
  /** latest ledger when it was signed */
  readonly signedLedger: number;
}

export type Look =
  | { readonly status: 'LANDED'; readonly landed: Landed }
  | { readonly status: 'DEAD' }
  /** neither; `ledger` is the one at which it was absent */
  | { readonly status: 'PENDING'; readonly ledger: number }
  /** its time is over, and the history in which it may have landed is gone at this provider */
  | { readonly status: 'UNKNOWABLE' };

/**
 * One look. Everything is asked of one provider: what two of them say at different ledgers proves nothing together.
 * @throws ProviderError
 */
export async function findOut(rpc: Pick<ChainRpc, 'transaction' | 'account'>, sought: Sought): Promise<Look> {
  const first = await rpc.transaction(sought.innerHash);
  if (first.status === 'LANDED') return { status: 'LANDED', landed: first };
  const account = await rpc.account(sought.source);
  // A sequence number that is used proves nothing but at a ledger in which ours is known to be absent: one more look.
  const used = account.value !== null && account.value.sequence >= sought.sequence;
  const outcome = used ? await rpc.transaction(sought.innerHash) : first;
  if (outcome.status === 'LANDED') return { status: 'LANDED', landed: outcome };
  const absentAt = {
    ledger: outcome.latestLedger,
    closedAt: outcome.latestClosedAt,
    oldestLedger: outcome.oldestLedger,
  };
  const source = { ledger: account.ledger, sequence: account.value?.sequence ?? null };
  const evidence = { ...sought, absentAt, source };
  if (isDead(evidence)) return { status: 'DEAD' };
  return isPruned(evidence) && isOver(evidence)
    ? { status: 'UNKNOWABLE' }
    : { status: 'PENDING', ledger: absentAt.ledger };
}

/**
 * The same over all providers of the network: what one of them forgot another one may know, and nothing is given up for
 * dead that one of them has seen. @throws ProviderError
 */
export async function findOutAnywhere(
  { rpc, history, network }: Pick<Deps, 'rpc' | 'history' | 'network'>,
  sought: Sought,
): Promise<Look> {
  const provider = await rpc.pinned(sought.signedLedger);
  const look = await findOut(provider, sought);
  if (look.status === 'LANDED' || look.status === 'PENDING') return look;
  // On another network everything is absent.
  if ((await provider.head()).networkPassphrase !== network.passphrase)
    throw new ProviderError('UNAVAILABLE', 'rpc', 'it serves another network');
  const inHistory = async (): Promise<Look> => {
    const { transaction } = await history.pinned(sought.signedLedger);
    return findOut({ transaction, account: async () => ({ ledger: 0, value: null }) }, sought);
  };
  if (look.status === 'UNKNOWABLE') return inHistory();
  try {
    const second = await inHistory();
    return second.status === 'LANDED' ? second : look;
  } catch (error) {
    // One provider's proof is enough.
    if (error instanceof ProviderError) return look;
    throw error;
  }
}
