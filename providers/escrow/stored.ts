/** What a contract stores about its escrow, as far as it decides what may be called. */
import { scValToNative, xdr } from '@stellar/stellar-sdk/base';
import type { EscrowType } from '../../domain/chain.ts';
import { ProviderError } from '../errors.ts';

interface Flags {
  readonly disputed: boolean;
  readonly released: boolean;
  readonly resolved: boolean;
}
interface Stored {
  readonly flags?: Flags;
  readonly milestones: readonly { readonly flags?: Flags }[];
}

/**
 * Parts that are neither released, resolved nor in dispute: milestone indexes, or null for the whole of a single-release
 * escrow. A contract pays out what is left in it only when there are none.
 * @param state base64 ScVal of the stored escrow
 * @throws ProviderError MALFORMED
 */
export function openParts(state: string, type: EscrowType): (number | null)[] {
  const { flags, milestones } = decode(state);
  if (type === 'SINGLE_RELEASE') return isOpen(flags) ? [null] : [];
  return milestones.flatMap((milestone, index) => (isOpen(milestone.flags) ? [index] : []));
}

function decode(state: string): Stored {
  try {
    const stored: unknown = scValToNative(xdr.ScVal.fromXdr(state, 'base64'));
    if (isStored(stored)) return stored;
  } catch (cause) {
    throw new ProviderError('MALFORMED', 'rpc', 'the stored escrow cannot be decoded', { cause });
  }
  throw new ProviderError('MALFORMED', 'rpc', 'what the contract stores is no escrow');
}

const isStored = (value: unknown): value is Stored =>
  typeof value === 'object' && value !== null && 'milestones' in value && Array.isArray(value.milestones);

const isOpen = (flags: Flags | undefined): boolean =>
  flags === undefined || !(flags.disputed || flags.released || flags.resolved);
