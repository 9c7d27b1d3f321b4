/** Events of users, their wallets and their money. */
import { z } from 'zod';
import { Amount, AssetCode, ResourceRef } from '../resources/common.ts';
import { userEvent, walletEvent } from './define.ts';

/** `resource` is what moved the money: an order, or the movement of a deposit. */
const booked = { amount: Amount, asset: AssetCode, resource: ResourceRef, transaction_hash: z.string().nullable() };
const deposit = {
  amount: Amount,
  asset: AssetCode,
  from: z.string().nullable(),
  transaction_hash: z.string(),
  ledger: z.int(),
};

export const USER_EVENTS = [
  userEvent('user.created'),
  userEvent('user.updated', { fields: z.array(z.string()) }),
  userEvent('user.suspended'),
  userEvent('user.activated'),
  walletEvent('wallet.ready'),
  walletEvent('wallet.closed'),
  userEvent('balance.credited', booked),
  userEvent('balance.debited', booked),
  userEvent('balance.reserved', booked),
  userEvent('balance.released', booked),
  userEvent('deposit.detected', deposit),
  userEvent('deposit.credited', deposit),
] as const;
