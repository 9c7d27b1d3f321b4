/**
 * Closing a wallet gives its reserves back to the sponsor. It is decided on our rows under a lock, and then the network
 * decides: money that came meanwhile makes it refuse the transaction, and the wallet stays open.
 */
import { sql } from 'kysely';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import type { WalletKind, WalletStatus } from '../../domain/statuses.ts';
import { walletWorkflowId } from '../../domain/workflow-ids.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';

/** Others are the deployment's, or receive fees for ever. */
const CLOSABLE: readonly WalletKind[] = ['USER', 'OPERATOR', 'RESOLVER'];

interface ClosingRow {
  readonly kind: WalletKind;
  readonly provider: string;
  readonly status: WalletStatus;
  readonly closing: boolean;
  readonly userId: string | null;
  readonly marketplaceId: string | null;
}

export function createClosingActivities({ orm }: Pick<Deps, 'orm'>) {
  return {
    /**
     * From here on the wallet takes no new part in anything. Safe to repeat.
     * @returns CLOSED when it is closed already
     * @throws ApplicationFailure NOT_FOUND, INVALID_STATE (an open order names it, money is on it, the last of its kind)
     */
    async beginClosing({ wallet_id }: { wallet_id: string }): Promise<'CLOSING' | 'CLOSED'> {
      return inTransaction(orm, async (trx) => {
        const { rows } = await sql<ClosingRow>`
          select kind, provider, status, closing_at is not null as closing, user_id as "userId",
            marketplace_id as "marketplaceId"
          from wallets where id = ${wallet_id} for update`.execute(trx);
        const wallet = rows[0];
        if (wallet === undefined) throw refuse('NOT_FOUND', `wallet ${wallet_id} does not exist`);
        if (wallet.status === 'CLOSED') return 'CLOSED';
        // Decided before; what came since is for the network to judge.
        if (wallet.closing) return 'CLOSING';
        const obstacle = await obstacleTo(trx, wallet_id, wallet);
        if (obstacle !== null) throw refuse('INVALID_STATE', `wallet ${wallet_id} stays open: ${obstacle}`);
        await sql`update wallets set closing_at = now() where id = ${wallet_id}`.execute(trx);
        return 'CLOSING';
      });
    },

    /** It could not be closed: it is as it was. Not while a transaction may still close it. */
    async abandonClosing({ wallet_id }: { wallet_id: string }): Promise<void> {
      await sql`
        update wallets set closing_at = null where id = ${wallet_id} and status = 'READY' and not exists (
          select from chain_transactions
          where intent_key = ${`${walletWorkflowId(wallet_id)}/close`} and status in ('SIGNED', 'SUBMITTED'))`.execute(
        pool(orm),
      );
    },
  };
}

async function obstacleTo(trx: Sql, walletId: string, wallet: ClosingRow): Promise<string | null> {
  if (wallet.provider !== 'crypto-native') return 'its key is not ours';
  if (!CLOSABLE.includes(wallet.kind)) return `it is a ${wallet.kind} wallet`;
  if (wallet.status !== 'READY') return 'it is being created';
  const { rows } = await sql<{ order_id: string | null; money: boolean; alone: boolean }>`
    select
      (select o.id from orders o left join escrows e on e.order_id = o.id
       where o.status <> 'CLOSED' and (o.buyer_id = ${wallet.userId} or o.seller_id = ${wallet.userId}
         or exists (select from milestones m where m.order_id = o.id and m.seller_id = ${wallet.userId})
         or jsonb_path_exists(e.wallets, '$.*.wallet_id ? (@ == $id)', ${JSON.stringify({ id: walletId })}::jsonb))
         and o.marketplace_id = ${wallet.marketplaceId}
       limit 1) as order_id,
      exists (select from ledger_balances b
        where ((b.owner_id = ${walletId} and b.kind in ('custody.wallet', 'suspense'))
            or (b.owner_id = ${wallet.userId} and b.kind = 'user.funds'))
          and (b.debits_posted <> b.credits_posted or b.debits_pending <> 0 or b.credits_pending <> 0)) as money,
      ${wallet.kind !== 'USER'} and not exists (select from wallets w
        where w.marketplace_id = ${wallet.marketplaceId} and w.kind = ${wallet.kind} and w.id <> ${walletId}
          and w.status = 'READY' and w.closing_at is null) as alone`.execute(trx);
  const found = rows[0];
  if (found?.order_id != null) return `order ${found.order_id} is open and names it`;
  if (found?.money === true) return 'money is on it, or on its way';
  if (found?.alone === true) return `it is the last ${wallet.kind} wallet of its marketplace`;
  return null;
}

/**
 * For whoever begins something in which these users take part, in its transaction: none of their wallets is closed, and
 * none is being closed until the transaction ends.
 * @throws ApplicationFailure INVALID_STATE
 */
export async function demandOpenWallets(trx: Sql, userIds: readonly string[]): Promise<void> {
  const { rows } = await sql<{ user_id: string; open: boolean }>`
    select user_id, status <> 'CLOSED' and closing_at is null as open from wallets
    where user_id = any(${[...userIds]}::text[]) order by id for share`.execute(trx);
  const closed = rows.find(({ open }) => !open);
  if (closed !== undefined) throw refuse('INVALID_STATE', `the wallet of user ${closed.user_id} is closed`);
}
