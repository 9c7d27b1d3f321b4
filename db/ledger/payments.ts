/**
 * Money on its way out of one of our wallets: held in two pending legs when it is asked for, posted when the chain shows
 * it, voided when it is canceled or proved dead. One function per row of the booking table; `a → b`: debit a, credit b.
 */
import type { PaymentParty } from '../../domain/payment/shapes.ts';
import { type Booking, funds, marketplaceAccount, platformWallet, wallet } from './balances.ts';
import { type AccountRef, type ChainRef, type Posted, type Resource, type Sql, type StepKey, post } from './post.ts';

export interface PaymentRef {
  readonly marketplaceId: string;
  /** shown in statements */
  readonly code: 'WITHDRAWAL' | 'ADJUSTMENT';
  readonly resource: Resource;
}

/** The claim and the wallet that a party's money is booked on. */
function accountsOf(party: PaymentParty, booking: Booking): { claim: AccountRef; custody: AccountRef } {
  const { asset } = booking;
  switch (party.kind) {
    case 'USER':
      return { claim: funds(asset, party.userId), custody: wallet(asset, party.walletId) };
    case 'FEES':
      return { claim: marketplaceAccount('platform.fees', booking), custody: platformWallet(asset, party.walletId) };
    case 'EQUITY':
      return { claim: marketplaceAccount('platform.equity', booking), custody: platformWallet(asset, party.walletId) };
    case 'EXTERNAL': {
      const outside = marketplaceAccount('external', booking);
      return { claim: outside, custody: outside };
    }
  }
}

/**
 * Pending: payer's claim → payee's claim, and payee's wallet (or the world outside) → payer's wallet.
 * @throws InsufficientFunds when less is available
 */
export async function paymentRequested(
  trx: Sql,
  key: StepKey,
  input: PaymentRef & Booking & { payer: PaymentParty; payee: PaymentParty; amount: bigint },
): Promise<Posted> {
  const { amount, resource, marketplaceId } = input;
  const [payer, payee] = [accountsOf(input.payer, input), accountsOf(input.payee, input)];
  const pending = { kind: 'PENDING', amount, resource } as const;
  return post(trx, {
    key,
    marketplaceId,
    transfers: [
      { ...pending, debit: payer.claim, credit: payee.claim, code: input.code },
      { ...pending, debit: payee.custody, credit: payer.custody, code: 'PAYMENT' },
    ],
  });
}

/** It is on chain. */
export const paymentConfirmed = (trx: Sql, key: StepKey, payment: PaymentRef & ChainRef): Promise<Posted> =>
  settle(trx, key, payment, 'POST', {
    transactionHash: payment.transactionHash,
    ledgerSeq: payment.ledgerSeq,
  });

/** It will not happen: canceled before anything was signed, or proved dead. Nothing pending: no-op. */
export const paymentVoided = (trx: Sql, key: StepKey, payment: PaymentRef): Promise<Posted> =>
  settle(trx, key, payment, 'VOID');

function settle(
  trx: Sql,
  key: StepKey,
  { marketplaceId, code, resource }: PaymentRef,
  kind: 'POST' | 'VOID',
  chain?: ChainRef,
): Promise<Posted> {
  const leg = (of: 'WITHDRAWAL' | 'ADJUSTMENT' | 'PAYMENT') =>
    ({ kind, pending: { code: of, resource }, code: of, ...(chain === undefined ? {} : { chain }) }) as const;
  return post(trx, { key, marketplaceId, transfers: [leg(code), leg('PAYMENT')] });
}
