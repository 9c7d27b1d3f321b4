/**
 * The balance service: what each event of the outside world books, one function per row of the booking table. Every
 * function takes the caller's open transaction and the key of the workflow step, and is idempotent by that key.
 * `a → b` means: debit a, credit b.
 */
import {
  type AccountRef,
  type ChainRef,
  type Posted,
  type Resource,
  type Sql,
  type StepKey,
  type Transfer,
  post,
} from './post.ts';

export interface Booking {
  readonly marketplaceId: string;
  /** asset code */
  readonly asset: string;
}

/** Who was paid out of a contract, by the destination address of the chain's transfer. */
export type Recipient =
  /** a custodial wallet of a user */
  | { readonly kind: 'USER'; readonly userId: string; readonly walletId: string }
  /** the marketplace's own fee wallet */
  | { readonly kind: 'PLATFORM'; readonly walletId: string }
  /** anybody else: own wallets, external treasuries, the protocol's fee wallet */
  | { readonly kind: 'EXTERNAL' };

/** Who funds an escrow: our custodial wallet, or an address whose key we do not hold. */
export type Funder = { readonly walletId: string } | 'EXTERNAL';

export const wallet = (asset: string, ownerId: string): AccountRef => ({ kind: 'custody.wallet', ownerId, asset });
export const platformWallet = (asset: string, ownerId: string): AccountRef => ({
  ...wallet(asset, ownerId),
  hot: true,
});
const contract = (asset: string, ownerId: string): AccountRef => ({ kind: 'custody.contract', ownerId, asset });
export const funds = (asset: string, ownerId: string): AccountRef => ({ kind: 'user.funds', ownerId, asset });
const escrowed = (asset: string, ownerId: string): AccountRef => ({ kind: 'order.escrow', ownerId, asset });
const suspense = (asset: string, ownerId: string): AccountRef => ({ kind: 'suspense', ownerId, asset });
export const marketplaceAccount = (
  kind: 'external' | 'platform.fees' | 'platform.equity',
  { asset, marketplaceId }: Booking,
): AccountRef => ({ kind, ownerId: marketplaceId, asset, hot: true });

const order = (id: string): Resource => ({ type: 'order', id });
const escrow = (id: string): Resource => ({ type: 'escrow', id });

/** Money arrived on a wallet: a user's (credited to the user), or with `userId: null` the marketplace's fee wallet. */
export async function deposit(
  trx: Sql,
  key: StepKey,
  input: Booking & ChainRef & { userId: string | null; walletId: string; amount: bigint; resource: Resource },
): Promise<Posted> {
  const { asset, amount, resource, userId, walletId } = input;
  const [debit, credit] =
    userId === null
      ? [platformWallet(asset, walletId), marketplaceAccount('platform.equity', input)]
      : [wallet(asset, walletId), funds(asset, userId)];
  return post(trx, {
    key,
    marketplaceId: input.marketplaceId,
    transfers: [{ kind: 'POSTED', debit, credit, amount, code: 'DEPOSIT', resource, chain: chainRef(input) }],
  });
}

/**
 * Holds a custodial buyer's money for one order: pending `user.funds → order.escrow`.
 * @throws InsufficientFunds (`accountKind: 'user.funds'`) when less is available; LedgerError PENDING_EXISTS when the
 * order holds a reservation already
 */
export async function reserve(
  trx: Sql,
  key: StepKey,
  input: Booking & { buyerId: string; orderId: string; amount: bigint },
): Promise<Posted> {
  const { asset, amount, orderId } = input;
  return post(trx, {
    key,
    marketplaceId: input.marketplaceId,
    transfers: [
      {
        kind: 'PENDING',
        debit: funds(asset, input.buyerId),
        credit: escrowed(asset, orderId),
        amount,
        code: 'RESERVATION',
        resource: order(orderId),
      },
    ],
  });
}

/** Voids the order's reservation; does nothing when there is none or it is voided already (a compensation). */
export async function cancelReservation(
  trx: Sql,
  key: StepKey,
  input: { marketplaceId: string; orderId: string },
): Promise<Posted> {
  const pending = { code: 'RESERVATION', resource: order(input.orderId) } as const;
  return post(trx, {
    key,
    marketplaceId: input.marketplaceId,
    transfers: [{ kind: 'VOID', pending, code: 'RESERVATION' }],
  });
}

/** The funding envelope is saved (or handed out): from now on the money may leave the funder's wallet at any time. */
export async function fundSaved(
  trx: Sql,
  key: StepKey,
  input: Booking & { escrowId: string; funder: Funder; amount: bigint },
): Promise<Posted> {
  const { asset, amount, escrowId, funder } = input;
  return post(trx, {
    key,
    marketplaceId: input.marketplaceId,
    transfers: [
      {
        kind: 'PENDING',
        debit: contract(asset, escrowId),
        credit: funder === 'EXTERNAL' ? marketplaceAccount('external', input) : wallet(asset, funder.walletId),
        amount,
        code: 'FUNDING',
        resource: escrow(escrowId),
      },
    ],
  });
}

/** Funding is on chain: the pending legs are posted. For an external funder, who has no reservation, the order is credited. */
export async function fundConfirmed(
  trx: Sql,
  key: StepKey,
  input: Booking & ChainRef & { orderId: string; escrowId: string; funder: Funder; amount: bigint },
): Promise<Posted> {
  const { asset, amount, orderId, escrowId } = input;
  const chain = chainRef(input);
  const custody: Transfer = {
    kind: 'POST',
    pending: { code: 'FUNDING', resource: escrow(escrowId) },
    code: 'FUNDING',
    chain,
  };
  const claim: Transfer =
    input.funder === 'EXTERNAL'
      ? {
          kind: 'POSTED',
          debit: marketplaceAccount('external', input),
          credit: escrowed(asset, orderId),
          amount,
          code: 'FUNDING',
          resource: order(orderId),
          chain,
        }
      : { kind: 'POST', pending: { code: 'RESERVATION', resource: order(orderId) }, code: 'FUNDING', chain };
  return post(trx, { key, marketplaceId: input.marketplaceId, transfers: [claim, custody] });
}

/** The funding transaction is proved dead: the custody leg is voided, the reservation stands. Nothing pending: no-op. */
export async function fundDead(
  trx: Sql,
  key: StepKey,
  input: { marketplaceId: string; escrowId: string },
): Promise<Posted> {
  const pending = { code: 'FUNDING', resource: escrow(input.escrowId) } as const;
  return post(trx, {
    key,
    marketplaceId: input.marketplaceId,
    transfers: [{ kind: 'VOID', pending, code: 'FUNDING' }],
  });
}

/** The custody and the claim side of one recipient. */
function recipientAccounts(to: Recipient, booking: Booking): { custody: AccountRef; claim: AccountRef } {
  switch (to.kind) {
    case 'USER':
      return { custody: wallet(booking.asset, to.walletId), claim: funds(booking.asset, to.userId) };
    case 'PLATFORM':
      return {
        custody: platformWallet(booking.asset, to.walletId),
        claim: marketplaceAccount('platform.fees', booking),
      };
    case 'EXTERNAL': {
      const outside = marketplaceAccount('external', booking);
      return { custody: outside, claim: outside };
    }
  }
}

/**
 * One confirmed transaction paid out of an escrow contract (release, refund, split, fees). `transfers` are those of the
 * chain, in their order there: fees are what was charged, never recomputed.
 */
export async function contractOutflow(
  trx: Sql,
  key: StepKey,
  input: Booking &
    ChainRef & {
      escrowId: string;
      orderId: string;
      transfers: readonly { to: Recipient; amount: bigint; milestoneIndex?: number }[];
    },
): Promise<Posted> {
  const { asset, orderId, escrowId } = input;
  const chain = chainRef(input);
  const transfers = input.transfers.flatMap(({ to, amount, milestoneIndex }): Transfer[] => {
    const { custody, claim } = recipientAccounts(to, input);
    const common = {
      kind: 'POSTED',
      amount,
      code: 'PAYOUT',
      resource: order(orderId),
      chain,
      ...(milestoneIndex === undefined ? {} : { milestoneIndex }),
    } as const;
    return [
      { ...common, debit: custody, credit: contract(asset, escrowId) },
      { ...common, debit: escrowed(asset, orderId), credit: claim },
    ];
  });
  return post(trx, { key, marketplaceId: input.marketplaceId, transfers });
}

/** Somebody else's money came into an escrow contract (anyone can send): the order owns it. */
export async function contractInflow(
  trx: Sql,
  key: StepKey,
  input: Booking & ChainRef & { escrowId: string; orderId: string; amount: bigint },
): Promise<Posted> {
  const { asset, amount, orderId, escrowId } = input;
  const outside = marketplaceAccount('external', input);
  const common = {
    kind: 'POSTED',
    amount,
    code: 'TOP_UP',
    resource: order(orderId),
    chain: chainRef(input),
  } as const;
  return post(trx, {
    key,
    marketplaceId: input.marketplaceId,
    transfers: [
      { ...common, debit: contract(asset, escrowId), credit: outside },
      { ...common, debit: outside, credit: escrowed(asset, orderId) },
    ],
  });
}

/** A movement of a custodial wallet nobody can explain: `suspense` against `custody.wallet`. `platform`: the fee wallet. */
export async function unexplained(
  trx: Sql,
  key: StepKey,
  input: Booking &
    ChainRef & { walletId: string; platform: boolean; direction: 'IN' | 'OUT'; amount: bigint; resource: Resource },
): Promise<Posted> {
  const { asset, amount, walletId, resource } = input;
  const custody = input.platform ? platformWallet(asset, walletId) : wallet(asset, walletId);
  const unknown = suspense(asset, walletId);
  const [debit, credit] = input.direction === 'IN' ? [custody, unknown] : [unknown, custody];
  return post(trx, {
    key,
    marketplaceId: input.marketplaceId,
    transfers: [{ kind: 'POSTED', debit, credit, amount, code: 'UNEXPLAINED', resource, chain: chainRef(input) }],
  });
}

function chainRef({ transactionHash, ledgerSeq }: ChainRef): ChainRef {
  return { transactionHash, ledgerSeq };
}
