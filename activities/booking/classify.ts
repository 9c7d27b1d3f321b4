/** What a movement is to its owner. Pure: decided from the movement and what we know of hashes and contracts. */
import type { Movement } from '../../domain/chain.ts';
import type { PaymentRef } from '../../domain/intents.ts';
import type { WalletKind } from '../../domain/statuses.ts';

/** A movement as one owner (a wallet or a contract) sees it: the unit that is recorded and booked once. */
export interface OwnMovement {
  readonly movement: Movement;
  readonly direction: 'IN' | 'OUT';
  /** position among this owner's changes of this asset, in this direction, in the operation */
  readonly ordinal: number;
  readonly counterparty: string | null;
}

/**
 * The changes that touch an address, numbered so that the key is equal whatever source reports them and however they are
 * paged by operation (F27). Nothing moved when the address paid itself, or when the amount is zero.
 */
export function ownMovements(address: string, movements: readonly Movement[]): OwnMovement[] {
  const seen = new Map<string, number>();
  return movements.flatMap((movement): OwnMovement[] => {
    const direction = movement.to === address ? 'IN' : movement.from === address ? 'OUT' : null;
    if (direction === null || movement.from === movement.to || movement.amount === 0n) return [];
    const key = `${movement.operationId} ${direction} ${movement.asset.code} ${movement.asset.issuer ?? ''}`;
    const ordinal = seen.get(key) ?? 0;
    seen.set(key, ordinal + 1);
    return [{ movement, direction, ordinal, counterparty: direction === 'IN' ? movement.from : movement.to }];
  });
}

export interface Knowledge {
  /** what it was for (null: nothing that moves money) by inner and outer hash of every transaction of ours */
  readonly ours: ReadonlyMap<string, MovementOwner | null>;
  /** order id by address of every contract of ours */
  readonly contracts: ReadonlyMap<string, string>;
  readonly assets: readonly { readonly code: string; readonly issuer: string }[];
  readonly wallet: { readonly kind: WalletKind; readonly custodial: boolean };
}

export interface Verdict {
  /**
   * `OURS` our transaction: its owner's settling books it · `CONTRACT` somebody else's transaction on our contract: the
   * order books it · `DEPOSIT` · `UNEXPLAINED` goes to suspense
   */
  readonly kind: 'OURS' | 'CONTRACT' | 'DEPOSIT' | 'UNEXPLAINED';
  /** false: recorded only; not a settlement asset (F40), or not our key */
  readonly booked: boolean;
  readonly resource?: MovementOwner;
}

export interface MovementOwner {
  readonly type: 'order' | PaymentRef['type'];
  readonly id: string;
}

export function classify({ movement, direction, counterparty }: OwnMovement, known: Knowledge): Verdict {
  const ours = known.ours.get(movement.transactionHash);
  if (ours !== undefined) return { kind: 'OURS', booked: false, ...(ours === null ? {} : { resource: ours }) };
  const orderId = counterparty === null ? undefined : known.contracts.get(counterparty);
  // The order books what comes into its contract, whoever paid. What a key of ours paid in a transaction that no row knows
  // (they were restored to a time before it) has to leave the wallet's books as well.
  const paidByUs = direction === 'OUT' && known.wallet.custodial;
  if (orderId !== undefined && !paidByUs)
    return { kind: 'CONTRACT', booked: false, resource: { type: 'order', id: orderId } };
  const { code, issuer } = movement.asset;
  const settles = known.assets.some((asset) => asset.code === code && asset.issuer === issuer);
  const booked = settles && known.wallet.custodial;
  const receives = known.wallet.kind === 'USER' || known.wallet.kind === 'FEE';
  return { kind: settles && direction === 'IN' && receives ? 'DEPOSIT' : 'UNEXPLAINED', booked };
}
