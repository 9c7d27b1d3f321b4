/** A payment out of a wallet of ours: a withdrawal, a payout of earned fees, a correction by support. */
import { sql } from 'kysely';
import type { Sql } from '../../../db/sql.ts';
import type { PaymentRef } from '../../../domain/intents.ts';
import { whyUnpayable } from '../../../domain/payment/destination.ts';
import type { PaymentParty } from '../../../domain/payment/shapes.ts';
import { readDestination } from '../../../providers/chain/destination.ts';
import { type PaymentTo, buildPayment } from '../../../providers/chain/payment.ts';
import type { Deps, SettlementAsset } from '../../context.ts';
import { refuse } from '../../failure.ts';
import { type PaymentRow, findPayment } from '../../withdrawals/row.ts';
import { unlessPaused } from '../pause.ts';
import { pickSource } from '../sources.ts';
import type { Signatory, Target } from '../target.ts';
import { classicTarget } from './classic.ts';

interface ResolvedPayment {
  readonly row: PaymentRow;
  readonly from: Signatory;
  /** the account that is credited */
  readonly account: string;
  readonly to: PaymentTo;
  readonly asset: SettlementAsset;
}

/** Null while a wallet that takes part is not ready. @throws ApplicationFailure NOT_FOUND */
export async function resolvePayment(db: Sql, deps: Deps, id: string): Promise<ResolvedPayment | null> {
  const row = await findPayment(db, id);
  if (row === null) throw refuse('NOT_FOUND', `payment ${id} does not exist`);
  const { destination } = row;
  const from = await walletOf(db, row.payer);
  const account = destination?.account ?? (await walletOf(db, row.payee))?.address;
  if (from === null || account === undefined) return null;
  const asset = deps.network.assets.find(({ code }) => code === row.asset);
  if (asset === undefined) throw refuse('BOOKS_DIFFER', `${row.asset} is not an asset of this network`);
  const to = { address: destination?.address ?? account, memo: destination?.memo ?? null };
  return { row, from, account, to, asset };
}

export async function paymentTarget(db: Sql, deps: Deps, ref: PaymentRef, key: string): Promise<Target | null> {
  const resolved = await resolvePayment(db, deps, ref.id);
  if (resolved === null) return null;
  const { row, from, to, asset } = resolved;
  // Canceled while its envelope was being prepared; what is signed never comes here.
  if (row.status !== 'APPROVED') throw refuse('INVALID_STATE', `the ${ref.type} is ${row.status}`);
  const { address: source, channel } = await pickSource(db, deps, key);
  const target = classicTarget(deps, {
    source,
    marketplaceId: row.marketplaceId,
    signatories: channel === null ? [from] : [from, channel],
    sponsorSigns: channel === null,
    what: `the payment of ${ref.id}`,
    build: ({ sequence, maxTime }) =>
      buildPayment({
        networkPassphrase: deps.network.passphrase,
        source,
        sequence,
        maxTime,
        from: from.address,
        to,
        asset,
        amount: row.amount,
      }),
  });
  const payable = {
    ...target,
    build: async () => {
      await demandPayable(deps, resolved);
      return target.build();
    },
  };
  return unlessPaused(db, payable, row.marketplaceId, key);
}

/** A wallet of ours that can be used; null while it is not ready, and for the world outside. */
async function walletOf(db: Sql, party: PaymentParty): Promise<Signatory | null> {
  if (party.kind === 'EXTERNAL') return null;
  const { rows } = await sql<Signatory>`
    select id as "walletId", address from wallets where id = ${party.walletId} and status = 'READY'`.execute(db);
  return rows[0] ?? null;
}

/** It was looked at when it was asked for; an approval may have taken days. @throws ApplicationFailure DESTINATION_INVALID */
async function demandPayable(deps: Deps, { row, account, asset }: ResolvedPayment): Promise<void> {
  const view = await readDestination(deps.rpc, account, asset);
  const { destination, amount } = row;
  const named = destination !== null && (destination.memo !== null || destination.address !== account);
  const problem = whyUnpayable(view, { amount, asset: asset.code, named });
  if (problem !== null) throw refuse('DESTINATION_INVALID', problem);
}
