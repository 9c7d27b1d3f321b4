/** Every bound in one place, each with its reason. Amounts in stroops. */
import { STROOPS_PER_UNIT } from './money.ts';

/** Trustless Work takes amounts as JSON numbers: above 900 million units a double no longer holds seven decimals. */
export const TRUSTLESS_WORK_AMOUNT_MAX = 900_000_000n * STROOPS_PER_UNIT;
/** Contract limit of the C26 escrow. */
export const MILESTONES_MAX = 50;
/** The contract's limit is 9 900 bps with the protocol fee on top; a marketplace that takes more is a typing error. */
export const PLATFORM_FEE_BPS_MAX = 9_900;
/** Fee of the escrow contract on release, resolution and withdrawal; a constant in its code. */
export const PROTOCOL_FEE_BPS = 30;
/**
 * New accounts per transaction: 20 signatures (the channel account, the sponsor and 18 of them), and 100 operations, of
 * which each account takes three and one per settlement asset.
 */
export const walletBatchMax = (assets: number): number => Math.min(18, Math.floor(100 / (3 + assets)));
/** Limits of the escrow contract's API. */
export const TITLE_MAX = 100;
export const DESCRIPTION_MAX = 500;
/** Per dispute: who needs more has another medium for it. */
export const DISPUTE_EVIDENCE_MAX = 100;
export const DISPUTE_COMMENTS_MAX = 500;
export const METADATA_KEYS_MAX = 50;
export const METADATA_BYTES_MAX = 8_192;
export const BODY_BYTES_MAX = 256 * 1024;
export const IDEMPOTENCY_KEY_MAX = 255;
export const ACTOR_MAX = 128;
export const PAGE_DEFAULT = 20;
export const PAGE_MAX = 100;
/** `Prefer: wait=N`: longer than any proxy's idle limit helps nobody. */
export const WAIT_SECONDS_MAX = 60;
/** A database-only verb that has not answered by then is answered 202. */
export const DATABASE_VERB_WAIT_MS = 10_000;
/** Highest total fee of one transaction, stroops of XLM: 2 XLM is thirty times a deploy in quiet times. */
export const TRANSACTION_FEE_CAP = 2n * STROOPS_PER_UNIT;
/** An envelope lives this long on chain time: core itself forgets a queued transaction after about 20 s. */
export const ENVELOPE_LIFETIME_S = 120;
/** A user who has not signed after a week is asked anew, if his order still waits for it. */
export const SIGNING_REQUEST_LIFETIME_S = 7 * 24 * 3600;
/** Inclusion fee we bid per operation, stroops: everybody pays the lowest winning bid, so bidding high costs nothing. */
export const INCLUSION_FEE_BID = 10_000n;
/** A queued transaction is replaced only by one that bids this many times as much: the rule of the network. */
const INCLUSION_FEE_FACTOR = 10n;
/** 0.1 XLM per operation: who bids more than that in a surge is better off waiting for its end. */
export const INCLUSION_FEE_MAX = 1_000_000n;
/** Core drops a transaction from its queue after four ledgers: one that is absent for longer needs a higher bid. */
export const LEDGERS_IN_QUEUE = 5;

/** The next bid per operation after `bid` (stroops), or null at the cap. */
export function raisedBid(bid: bigint): bigint | null {
  const next = bid * INCLUSION_FEE_FACTOR;
  return next > INCLUSION_FEE_MAX ? null : next;
}
