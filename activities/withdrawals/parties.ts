/** Whose money a payment moves, and whose it is afterwards: decided once, when it is asked for. */
import { sql } from 'kysely';
import { custodialWalletAt } from '../../db/resources/wallet.ts';
import type { Sql } from '../../db/sql.ts';
import type { Destination, PaymentParty } from '../../domain/payment/shapes.ts';
import type { PaymentProviderName } from '../../domain/statuses.ts';
import type { CreatePayment } from '../../workflows/messages.ts';
import { refuse } from '../failure.ts';

interface Parties {
  readonly payer: PaymentParty;
  readonly payee: PaymentParty;
}

/** @throws ApplicationFailure DESTINATION_INVALID, VALIDATION_ERROR (the user's wallet is not ours) */
export async function partiesOf(trx: Sql, request: CreatePayment): Promise<Parties> {
  const { marketplace_id: marketplaceId, user_id: userId, direction, destination } = request;
  const user = userId === null ? null : await userParty(trx, userId);
  if (destination !== null) {
    const payer = user ?? (await platformParty(trx, marketplaceId, 'FEES'));
    return { payer, payee: await payeeAt(trx, marketplaceId, destination, payer) };
  }
  const equity = await platformParty(trx, marketplaceId, 'EQUITY');
  if (user === null) throw refuse('VALIDATION_ERROR', 'a correction needs a user');
  return direction === 'CREDIT' ? { payer: equity, payee: user } : { payer: user, payee: equity };
}

async function userParty(trx: Sql, userId: string): Promise<PaymentParty> {
  const { rows } = await sql<{ id: string; provider: PaymentProviderName }>`
    select id, provider from wallets where user_id = ${userId} and kind = 'USER'`.execute(trx);
  const wallet = rows[0];
  if (wallet === undefined) throw refuse('NOT_FOUND', `user ${userId} has no wallet`);
  if (wallet.provider === 'crypto-native') return { kind: 'USER', userId, walletId: wallet.id };
  const detail = 'this user holds the key of the own wallet: its money is not ours to send';
  throw refuse('VALIDATION_ERROR', detail, { errors: [{ pointer: '/user_id', code: 'OWN_WALLET', detail }] });
}

async function platformParty(trx: Sql, marketplaceId: string, kind: 'FEES' | 'EQUITY'): Promise<PaymentParty> {
  const { rows } = await sql<{ id: string }>`
    select id from wallets where marketplace_id = ${marketplaceId} and kind = 'FEE' limit 1`.execute(trx);
  if (rows[0] === undefined) throw refuse('NOT_FOUND', `marketplace ${marketplaceId} has no fee wallet`);
  return { kind, walletId: rows[0].id };
}

/**
 * An address whose key we hold is paid only where the books know whose money it then is: a user of this marketplace.
 * Wallets whose keys users hold are the world outside.
 */
async function payeeAt(
  trx: Sql,
  marketplaceId: string,
  { account }: Destination,
  payer: PaymentParty,
): Promise<PaymentParty> {
  const wallet = await custodialWalletAt(trx, account);
  if (wallet === null) return { kind: 'EXTERNAL' };
  const isUsers = wallet.kind === 'USER' && wallet.userId !== null && wallet.marketplaceId === marketplaceId;
  if (!isUsers || wallet.userId === null) throw invalid('the address belongs to a wallet that takes no payments');
  if (payer.kind === 'USER' && payer.userId === wallet.userId)
    throw invalid('the address is the own wallet of the user');
  return { kind: 'USER', userId: wallet.userId, walletId: wallet.id };
}

const invalid = (detail: string) =>
  refuse('DESTINATION_INVALID', detail, { errors: [{ pointer: '/destination/address', code: 'NOT_PAYABLE', detail }] });
