/** Transactions that we build ourselves: verifying one is comparing it with a second building at the same bounds. */
import { FeeBumpTransaction, TransactionBuilder } from '@stellar/stellar-sdk/base';
import { hashes } from '../../../providers/chain/envelope.ts';
import type { Verdict } from '../../../providers/escrow/port.ts';
import type { Deps } from '../../context.ts';
import type { Signatory, Target } from '../target.ts';

/** Seconds after the latest ledger for which our own envelopes are valid. */
const CLASSIC_LIFETIME_S = 120;
/** An envelope that lives less than this is not worth signing. */
const LIFETIME_LEFT_S = 20;

interface ClassicPlan {
  /** address of the transaction's source account */
  readonly source: string;
  readonly marketplaceId: string | null;
  /** wallets whose keys sign, the source's included unless it is the sponsor */
  readonly signatories: readonly Signatory[];
  /** the sponsor signs the inner transaction too (it pays reserves) */
  readonly sponsorSigns: boolean;
  /** in words, for the difference that is shown when an envelope is another one */
  readonly what: string;
  /** the envelope, unsigned, base64; the same for the same arguments. `sequence` is the source's last used one */
  build(at: { readonly sequence: bigint; readonly maxTime: number }): string;
}

export function classicTarget(deps: Deps, plan: ClassicPlan): Target {
  const look = async () => {
    const [account, ledger] = await Promise.all([deps.rpc.account(plan.source), deps.rpc.latestLedger()]);
    return { sequence: account.value?.sequence ?? -1n, ledger };
  };
  return {
    source: plan.source,
    marketplaceId: plan.marketplaceId,
    orderId: null,
    signatories: plan.signatories,
    sponsorSigns: plan.sponsorSigns,
    call: null,
    build: async () => {
      const { sequence, ledger } = await look();
      return plan.build({ sequence, maxTime: ledger.closedAt + CLASSIC_LIFETIME_S });
    },
    verify: async (candidate) => {
      const { sequence, ledger } = await look();
      const verdict = judge(candidate, plan, { sequence, chainTime: ledger.closedAt, ...deps.network });
      return { verdict, ledger: ledger.sequence };
    },
  };
}

interface Now {
  readonly sequence: bigint;
  readonly chainTime: number;
  readonly passphrase: string;
}

function judge(candidate: string, plan: ClassicPlan, { sequence, chainTime, passphrase }: Now): Verdict {
  const transaction = TransactionBuilder.fromXdr(candidate, passphrase);
  if (transaction instanceof FeeBumpTransaction) throw new TypeError('a prepared envelope is no fee bump');
  if (BigInt(transaction.sequence) !== sequence + 1n)
    return { verdict: 'STALE', reason: 'the sequence number was used' };
  const maxTime = Number(transaction.timeBounds?.maxTime ?? 0);
  if (maxTime < chainTime + LIFETIME_LEFT_S) return { verdict: 'STALE', reason: 'the time bounds are nearly over' };
  if (plan.build({ sequence, maxTime }) !== candidate)
    return {
      verdict: 'DIFFERENT',
      differences: [{ field: 'envelope', expected: plan.what, actual: 'another transaction' }],
    };
  const { hash } = hashes(candidate, passphrase);
  return { verdict: 'OK', hash, sequence: sequence + 1n, maxTime, fee: BigInt(transaction.fee), contractId: '' };
}
