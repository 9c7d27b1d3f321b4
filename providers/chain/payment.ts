/** Payments that we build ourselves. */
import { Account, Memo as StellarMemo, Operation, TransactionBuilder } from '@stellar/stellar-sdk/base';
import type { Asset } from '../../domain/chain.ts';
import { formatFixed } from '../../domain/money.ts';
import type { Memo } from '../../domain/payment/shapes.ts';
import { stellarAsset } from './movements.ts';

/** Who gets it: a memo belongs to the transaction, a muxed address names its user itself. */
export interface PaymentTo {
  /** G… or M… */
  readonly address: string;
  readonly memo: Memo | null;
}

/**
 * One payment out of a wallet that holds 0 XLM: `source` lends its sequence number, the wallet is the operation's source.
 * To be signed by both, and then fee-bumped. `sequence` is the last used one of `source`; `amount` in stroops.
 */
export function buildPayment(options: {
  readonly networkPassphrase: string;
  readonly source: string;
  readonly sequence: bigint;
  readonly maxTime: number;
  readonly from: string;
  readonly to: PaymentTo;
  readonly asset: Asset;
  readonly amount: bigint;
}): string {
  const { source, sequence, networkPassphrase, maxTime, from, to, asset, amount } = options;
  const builder = new TransactionBuilder(new Account(source, sequence.toString()), {
    fee: '0',
    networkPassphrase,
    timebounds: { minTime: 0, maxTime },
  });
  const destination = to.address;
  builder.addOperation(
    Operation.payment({ destination, asset: stellarAsset(asset), amount: formatFixed(amount), source: from }),
  );
  if (to.memo !== null) builder.addMemo(stellarMemo(to.memo));
  return builder.build().toXdr();
}

function stellarMemo({ type, value }: Memo): StellarMemo {
  switch (type) {
    case 'TEXT':
      return StellarMemo.text(value);
    case 'ID':
      return StellarMemo.id(value);
    case 'HASH':
      return StellarMemo.hash(value);
    case 'RETURN':
      return StellarMemo.return(value);
  }
}
