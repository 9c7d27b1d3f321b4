/** The events of one ledger with their ids, in the order of the chain. */
import { Address, nativeToScVal, xdr } from '@stellar/stellar-sdk/base';
import { networkId, readEnvelope } from '../core/envelope.ts';
import { refundOf } from '../core/fees.ts';
import { sdkAsset } from '../core/keys.ts';
import { toid } from '../core/toid.ts';
import type { Core, EmittedEvent, TransactionRecord } from '../core/types.ts';
import { knownEvents, type RpcOptions } from './options.ts';

export interface Located {
  readonly id: string;
  readonly event: EmittedEvent;
  readonly transaction: TransactionRecord;
  /** 1-based; 0 for what happens before all transactions, `AFTER_ALL` for what happens after them */
  readonly order: number;
  /** 0-based, unlike everywhere else */
  readonly operation: number;
}

/** Place of what happens after a ledger's transactions: the refunds. */
const AFTER_ALL = 1_048_575;

/** @param position TOID, whose operation part counts from 0 here */
export const eventId = (position: bigint, index: number | bigint): string =>
  `${String(position).padStart(19, '0')}-${String(index).padStart(10, '0')}`;

function operationEvents(transaction: TransactionRecord, options: RpcOptions): Located[] {
  if (!transaction.successful) return [];
  const { ledger, order } = transaction;
  return transaction.operations.flatMap((operation, position) =>
    knownEvents(operation, options).map((event, index) => ({
      id: eventId(toid(ledger, order, position), index),
      event,
      transaction,
      order,
      operation: position,
    })),
  );
}

/** Fees are taken before all transactions, also of those that fail; refunds come after all, as negative fees. */
function feeEvents(core: Core, transactions: readonly TransactionRecord[]): { before: Located[]; after: Located[] } {
  const { networkPassphrase } = core;
  const network = networkId(networkPassphrase);
  const contract = sdkAsset('native').contractId(networkPassphrase);
  const fee = (transaction: TransactionRecord, order: number, index: number, amount: bigint): Located => {
    const payer = new Address(transaction.accounts.at(-1) ?? '').toScVal();
    const topics = [xdr.ScVal.scvSymbol('fee'), payer];
    const event = { contract, topics, data: nativeToScVal(amount, { type: 'i128' }) };
    return { id: eventId(toid(transaction.ledger, order), index), event, transaction, order, operation: 0 };
  };
  const refunds = transactions.map(({ envelopeXdr }) => {
    const tx = readEnvelope(envelopeXdr, network);
    return tx.soroban === null ? 0n : refundOf(tx);
  });
  const charged = transactions.map(({ feeCharged }, index) => feeCharged + (refunds[index] ?? 0n));
  const after = transactions.filter((_, index) => refunds[index] !== 0n);
  return {
    before: transactions.map((one, index) => fee(one, 0, index, charged[index] ?? 0n)),
    after: after.map((one, index) => fee(one, AFTER_ALL, index, -(refunds[transactions.indexOf(one)] ?? 0n))),
  };
}

export function eventsOf(core: Core, ledger: number, options: RpcOptions): Located[] {
  const transactions = core.ledger(ledger)?.transactions ?? [];
  const operations = transactions.flatMap((transaction) => operationEvents(transaction, options));
  if (!options.feeEvents) return operations;
  const { before, after } = feeEvents(core, transactions);
  return [...before, ...operations, ...after];
}
