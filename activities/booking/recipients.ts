/** Who the addresses are that an escrow contract paid: users of ours, the marketplace's fee wallet, or somebody else. */
import { sql } from 'kysely';
import type { Recipient } from '../../db/ledger/balances.ts';
import type { Sql } from '../../db/sql.ts';
import type { Movement } from '../../domain/chain.ts';

export interface PaidOut {
  readonly to: Recipient;
  readonly address: string;
  /** stroops */
  readonly amount: bigint;
}

export async function recipients(trx: Sql, marketplaceId: string, out: readonly Movement[]): Promise<PaidOut[]> {
  const addresses = out.flatMap(({ to }) => (to === null ? [] : [to]));
  const { rows } = await sql<{ id: string; address: string; kind: string; userId: string | null }>`
    select id, address, kind, user_id as "userId" from wallets
    where marketplace_id = ${marketplaceId} and provider = 'crypto-native' and address = any(${addresses})`.execute(
    trx,
  );
  return out.map(({ to, amount }) => {
    const wallet = rows.find((row) => row.address === to);
    return { address: to ?? '', amount, to: recipient(wallet) };
  });
}

function recipient(wallet: { id: string; kind: string; userId: string | null } | undefined): Recipient {
  if (wallet?.kind === 'USER' && wallet.userId !== null)
    return { kind: 'USER', userId: wallet.userId, walletId: wallet.id };
  if (wallet?.kind === 'FEE') return { kind: 'PLATFORM', walletId: wallet.id };
  return { kind: 'EXTERNAL' };
}
