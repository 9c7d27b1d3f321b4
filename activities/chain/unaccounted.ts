/**
 * Transactions of our own accounts that our rows do not know. Every one of ours is stored before it is sent, so there are
 * some only when the rows were restored to an earlier state (or a key is not ours alone). What they did cannot be told
 * from rows that never heard of them: nothing of it is sent again, whoever it concerns is parked.
 */
import type { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import type { ChainHistory, ChainRpc, SourceTransaction } from '../../providers/chain/port.ts';
import type { Orm } from '../../db/orm.ts';
import { newId } from '../../domain/ids.ts';
import { clearAttention, raiseAttention } from '../attention.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import type { Target } from './target.ts';

/** An account's sequence numbers begin at its ledger of creation, shifted by this many bits. */
const BIRTH_BITS = 32n;
/** Accounts that are looked at together. */
const AT_ONCE = 10;

/** Those whose keys are ours alone: the sponsor may be used by hand, an own wallet by its user. */
const OURS_ALONE = sql`provider = 'crypto-native' and kind <> 'SPONSOR'`;

/** The last sequence number of `source` that a transaction of ours may have used, as far as the rows know. */
const lastKnown = (source: unknown) => sql`greatest(
  (select max(sequence) from chain_transactions where source = ${source} and status not in ('PREPARED', 'DEAD')),
  (select max(sequence) from unaccounted_transactions where source = ${source}))`;

/** What the rows say about the accounts of an envelope. */
export interface Accounts {
  /** the last sequence number of the source that we used, as far as the rows know */
  readonly known: string | null;
  /** the chain knows a later one */
  readonly ahead: boolean;
  /** hashes of unaccounted transactions that concern what the envelope is about */
  readonly open: readonly string[];
}

/**
 * One row: does the chain know more of an envelope's accounts than the rows do?
 * @param sequence the envelope's; the chain's next for the source when it was built
 */
export function accountsOf({ source, signatories, orderId, call }: Target, sequence: bigint) {
  const used = sequence - 1n;
  // What only speaks for a wallet, as an approval does, moves none of its money: the contract alone decides there.
  const paying = call === null || call.call.fn === 'fund';
  const names = paying ? [source, ...signatories.map(({ address }) => address)] : [];
  return sql<Accounts>`
    select last.known::text as known,
      ${used}::bigint > greatest(last.known, ${birthOf(used)}::bigint)
        and exists (select from wallets where address = ${source} and ${OURS_ALONE}) as ahead,
      array(select hash from unaccounted_transactions where settled_at is null and involved && (${names}::text[] ||
        array(select unnest(array[e.id, e.contract_id]) from escrows e where e.order_id = ${orderId}))) as open
    from (select ${lastKnown(source)} as known) last`;
}

/** @returns BOOKS_DIFFER when the chain knows more, which parks: nothing was signed; else null */
export function judge(
  { source }: Target,
  sequence: bigint,
  { known, ahead, open }: Accounts,
): ApplicationFailure | null {
  if (open.length > 0)
    return refuse('BOOKS_DIFFER', 'transactions that the rows do not know may have done this already', {
      transactions: open,
    });
  if (ahead)
    return refuse('BOOKS_DIFFER', `${source} was used by transactions that the rows do not know`, {
      source,
      last_known: known,
      on_chain: String(sequence - 1n),
    });
  return null;
}

/** The same where no envelope could be built. @throws ProviderError */
export async function unaccountedNow(deps: Pick<Deps, 'rpc'>, db: Sql, target: Target) {
  const { value } = await deps.rpc.account(target.source);
  if (value === null) return null;
  const { rows } = await accountsOf(target, value.sequence + 1n).execute(db);
  return rows[0] === undefined ? null : judge(target, value.sequence + 1n, rows[0]);
}

/** What the account's sequence number was before its first transaction, judged by a later one. */
const birthOf = (used: bigint): bigint => (used >> BIRTH_BITS) << BIRTH_BITS;

/** @param used the last sequence number that the chain says was used */
function isAhead(used: bigint, known: string | null): boolean {
  const birth = birthOf(used);
  return used > (known === null || BigInt(known) < birth ? birth : BigInt(known));
}

export interface Unaccounted {
  readonly hash: string;
  readonly source: string;
  readonly ledger: number;
  readonly involved: readonly string[];
}

/**
 * Asks the chain for every account of ours and writes down what the rows do not know. Repeatable: what was found is
 * known from then on. One attention item per transaction.
 * @returns what was found now
 * @throws ProviderError
 */
export async function findUnaccounted(
  deps: {
    readonly orm: Orm;
    readonly rpc: Pick<ChainRpc, 'account'>;
    readonly history: Pick<ChainHistory, 'transactionsOf'>;
  },
  workflowId: string,
): Promise<Unaccounted[]> {
  const { rows } = await sql<{ address: string; known: string | null }>`
    select w.address, ${lastKnown(sql`w.address`)}::text as known from wallets w
    where w.address is not null and w.status <> 'CLOSED' and ${OURS_ALONE} order by w.id`.execute(pool(deps.orm));
  const found: Unaccounted[] = [];
  for (let from = 0; from < rows.length; from += AT_ONCE) {
    const some = await Promise.all(
      rows.slice(from, from + AT_ONCE).map(async ({ address, known }) => {
        const account = (await deps.rpc.account(address)).value;
        if (account === null || !isAhead(account.sequence, known)) return [];
        return deps.history.transactionsOf(address, known === null ? 0n : BigInt(known));
      }),
    );
    for (const [index, transactions] of some.entries())
      for (const transaction of transactions)
        found.push(...(await remember(deps.orm, workflowId, rows[from + index]?.address ?? '', transaction)));
  }
  return found;
}

async function remember(
  orm: Orm,
  workflowId: string,
  source: string,
  { hash, sequence, ledger, successful, closedAt, names }: SourceTransaction,
): Promise<Unaccounted[]> {
  return inTransaction(orm, async (trx) => {
    // A failed transaction used its number and did nothing else.
    const { rows } = await sql<{ involved: string[] }>`
      insert into unaccounted_transactions (hash, source, sequence, ledger, successful, closed_at, involved, found_at,
        settled_at)
      select ${hash}, ${source}, ${sequence}, ${ledger}, ${successful}, ${closedAt}, array(
          select address from wallets where address = any(${names}::text[]) and kind in ('USER', 'FEE')
          union select unnest(array[id, contract_id]) from escrows
            where id = any(${names}::text[]) or contract_id = any(${names}::text[])),
        clock_timestamp(), case when ${successful} then null else clock_timestamp() end
      where not exists (select from chain_transactions where inner_hash = ${hash} and status not in ('PREPARED', 'DEAD'))
      on conflict do nothing returning array_remove(involved, null) as involved`.execute(trx);
    const [row] = rows;
    if (row === undefined) return [];
    if (successful)
      await raiseAttention(trx, {
        marketplaceId: null,
        resource: { type: 'transaction', id: hash },
        workflowId,
        reason: 'BOOKS_DIFFER',
        detail: { matter: 'a transaction of ours that the rows do not know', source, ledger, involved: row.involved },
      });
    return [{ hash, source, ledger, involved: row.involved }];
  });
}

/**
 * An operator has put the books right: what was involved may be used again.
 * @param note what he did, for the audit log
 * @throws Error when there is no such transaction, or it is settled
 */
export async function settleUnaccounted(orm: Orm, hash: string, note: string): Promise<void> {
  await inTransaction(orm, async (trx) => {
    if (!(await settleKnown(trx, hash, note)))
      throw new Error(`${hash} is not among the transactions that wait to be settled`);
  });
}

/** The same as part of what puts the books right. @returns false when it is none of them */
export async function settleKnown(trx: Sql, hash: string, note: string): Promise<boolean> {
  const { rows } = await sql<{ source: string }>`
    update unaccounted_transactions set settled_at = clock_timestamp(), note = ${note}
    where hash = ${hash} and settled_at is null returning source`.execute(trx);
  if (rows[0] === undefined) return false;
  await clearAttention(trx, { type: 'transaction', id: hash }, 'BOOKS_DIFFER');
  await sql`
    insert into audit_log (id, at, action, resource_type, resource_id, after)
    values (${newId('audit')}, clock_timestamp(), 'recovery.settle', 'transaction', ${hash},
      ${JSON.stringify({ note, ...rows[0] })}::jsonb)`.execute(trx);
  return true;
}
