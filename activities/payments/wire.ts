/** Movements as they pass through workflow histories: JSON knows no bigint, amounts cross as stroops in text (F26). */
import type { Movement } from '../../domain/chain.ts';

type WireMovement = Omit<Movement, 'amount'> & { readonly amount: string };

export interface WirePage {
  readonly movements: readonly WireMovement[];
  /** position behind everything in the page */
  readonly cursor: string;
}

export const toWire = (movement: Movement): WireMovement => ({ ...movement, amount: movement.amount.toString() });
export const fromWire = (movement: WireMovement): Movement => ({ ...movement, amount: BigInt(movement.amount) });
