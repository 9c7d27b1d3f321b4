/** Whether a transaction that landed is the one that an intent asks for. */
import { sql } from 'kysely';
import { pool } from '../../db/sql.ts';
import type { EscrowIntent, Intent, PaymentRef } from '../../domain/intents.ts';
import { type Unsigned, doTheSame } from '../../providers/chain/envelope.ts';
import { buildPayment } from '../../providers/chain/payment.ts';
import { sharedOut } from '../../providers/escrow/invocation.ts';
import { verifyLanded } from '../../providers/escrow/verify.ts';
import type { Deps } from '../context.ts';
import { resolveCall } from '../escrow/call.ts';
import { orRefuse } from '../escrow/refusal.ts';
import { refuse } from '../failure.ts';
import { resolvePayment } from './targets/payment.ts';

/** What is stored with it. */
export interface Match {
  readonly intent: Intent;
  readonly marketplaceId: string | null;
  readonly orderId: string | null;
  readonly contractId: string | null;
}

/** @throws ApplicationFailure VALIDATION_ERROR with the differences; INVALID_STATE; ProviderError */
export async function matchLanded(deps: Deps, intent: Intent, landed: Unsigned): Promise<Match> {
  if (intent.kind === 'PAY') return matchPayment(deps, intent.payment, landed);
  if (intent.kind === 'WITHDRAW_SURPLUS') await demandNotEarlier(deps, intent.approvalId, landed);
  if ('orderId' in intent) return matchCall(deps, intent, landed);
  throw refuse('INVALID_STATE', `${intent.kind} finds by itself what is there already`);
}

type Differences = readonly { readonly field: string; readonly expected: string; readonly actual: string }[];

function different(differences: Differences) {
  const detail = 'the transaction does something else than this step';
  const errors = [{ pointer: '/transaction_hash', code: 'VALUE', detail }];
  return refuse('VALIDATION_ERROR', detail, { errors, differences });
}

const notReady = () => refuse('INVALID_STATE', 'a wallet that takes part is not ready', { retryable: true });

/** What was booked before two persons agreed on this payout is an earlier one, however much it looks like it. */
async function demandNotEarlier({ orm }: Deps, approvalId: string, { hash, outerHash }: Unsigned): Promise<void> {
  const { rows } = await sql<{ earlier: string }>`
    select t.created_at::text as earlier from repair_approvals a
    join escrows e on e.order_id = a.order_id
    join ledger_accounts c on c.owner_id = e.id and c.kind = 'custody.contract'
    join ledger_transfers t on t.credit_account = c.id
    where a.id = ${approvalId} and t.created_at < a.used_at and t.transaction_hash in (${hash}, ${outerHash})
    limit 1`.execute(pool(orm));
  const [booked] = rows;
  if (booked !== undefined)
    throw different([{ field: 'booked at', expected: 'after two persons agreed', actual: booked.earlier }]);
}

async function matchCall(deps: Deps, asked: EscrowIntent, { envelope }: Unsigned): Promise<Match> {
  // What lay on the contract then is what it shared out; in which proportions is ours to say. Of a milestone it is its
  // amount.
  const shared = asked.kind === 'RESOLVE_DISPUTE' && asked.milestoneIndex === null ? sharedOut(envelope) : null;
  const intent = shared === null ? asked : { ...asked, base: shared.toString() };
  const resolved = await resolveCall(pool(deps.orm), deps, intent);
  if (resolved === null) throw notReady();
  const { call, order } = resolved;
  const asset = deps.network.assets.find(({ code }) => code === order.asset);
  if (asset === undefined) throw refuse('BOOKS_DIFFER', `${order.asset} is not an asset of this network`);
  const [facts, state] = await Promise.all([
    orRefuse(deps.contracts(call)),
    call.fn === 'fund' ? deps.rpc.escrowState(call.contractId) : null,
  ]);
  const verdict = verifyLanded(envelope, call, {
    ...facts,
    networkPassphrase: deps.network.passphrase,
    assetContract: asset.contract,
    escrowState: state?.value ?? null,
  });
  if (verdict.verdict === 'DIFFERENT') throw different(verdict.differences);
  if (verdict.verdict === 'STALE') throw new Error(`what landed is not stale: ${verdict.reason}`);
  return {
    intent: resolved.intent,
    marketplaceId: order.marketplaceId,
    orderId: order.id,
    contractId: verdict.contractId,
  };
}

async function matchPayment(deps: Deps, payment: PaymentRef, landed: Unsigned): Promise<Match> {
  const resolved = await resolvePayment(pool(deps.orm), deps, payment.id);
  if (resolved === null) throw notReady();
  const { row, from, to, asset } = resolved;
  // Whoever lent it the number: only the payer's key can have signed the payment.
  const expected = buildPayment({
    networkPassphrase: deps.network.passphrase,
    source: landed.source,
    sequence: landed.sequence - 1n,
    maxTime: Number(landed.maxTime),
    from: from.address,
    to,
    asset,
    amount: row.amount,
  });
  if (!doTheSame(expected, landed.envelope))
    throw different([{ field: 'operations', expected: `the payment of ${payment.id}`, actual: 'other operations' }]);
  return {
    intent: { kind: 'PAY', payment },
    marketplaceId: row.marketplaceId,
    orderId: null,
    contractId: null,
  };
}
