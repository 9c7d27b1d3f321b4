/** What a transaction is held against: built anew from rows and chain state at each look, for preparing and for signing. */
import { FeeBumpTransaction, TransactionBuilder } from '@stellar/stellar-sdk/base';
import { sql } from 'kysely';
import { type Sql, pool } from '../../db/sql.ts';
import type { Intent } from '../../domain/intents.ts';
import { TRANSACTION_FEE_CAP } from '../../domain/limits.ts';
import { PROVISIONING_LIFETIME_S, buildProvisioning } from '../../providers/chain/classic.ts';
import { hashes } from '../../providers/chain/envelope.ts';
import type { Verdict, VerifyContext } from '../../providers/escrow/port.ts';
import { verifyEnvelope } from '../../providers/escrow/verify.ts';
import type { Deps } from '../context.ts';
import { refuse } from '../failure.ts';
import { type ResolvedCall, resolveCall } from '../escrow/call.ts';

export interface Signatory {
  readonly walletId: string;
  readonly address: string;
}

export interface Target {
  readonly source: string;
  readonly marketplaceId: string | null;
  readonly orderId: string | null;
  /** wallets whose keys sign, besides the sponsor */
  readonly signatories: readonly Signatory[];
  /** the sponsor signs the inner transaction too (it pays reserves), not only the fee bump */
  readonly sponsorSigns: boolean;
  readonly call: ResolvedCall | null;
  build(): Promise<string>;
  /** Reads the chain and judges; `ledger` is the latest one then. @throws ProviderError */
  verify(envelope: string): Promise<{ verdict: Verdict; ledger: number }>;
}

/** Null while something the intent needs (a wallet) is not ready. */
export async function resolveTarget(deps: Deps, intent: Intent): Promise<Target | null> {
  const db = pool(deps.orm);
  return intent.kind === 'PROVISION_WALLETS'
    ? provisioningTarget(db, deps, intent.batchId)
    : escrowTarget(db, deps, intent);
}

async function escrowTarget(db: Sql, deps: Deps, intent: Exclude<Intent, { kind: 'PROVISION_WALLETS' }>) {
  const resolved = await resolveCall(db, deps, intent);
  if (resolved === null) return null;
  const { call, order, signer } = resolved;
  return {
    source: signer.address,
    marketplaceId: order.marketplaceId,
    orderId: order.id,
    signatories: [{ walletId: signer.wallet_id, address: signer.address }],
    sponsorSigns: false,
    call: resolved,
    build: () => deps.gateway.build(call),
    verify: async (envelope: string) => {
      const [ledger, account, state] = await Promise.all([
        deps.rpc.latestLedger(),
        deps.rpc.account(signer.address),
        call.fn === 'fund' ? deps.rpc.escrowState(call.contractId) : null,
      ]);
      const { network } = deps;
      const asset = network.assets.find((candidate) => candidate.code === order.asset);
      if (asset === undefined) throw refuse('BOOKS_DIFFER', `${order.asset} is not an asset of this network`);
      const context: VerifyContext = {
        networkPassphrase: network.passphrase,
        factory: network.factories.SINGLE_RELEASE,
        feeWalletArgument: network.feeWalletIsArgument ? network.feeWallet : null,
        assetContract: asset.contract,
        sequence: account.value?.sequence ?? -1n,
        chainTime: ledger.closedAt,
        escrowState: state?.value ?? null,
        feeCap: TRANSACTION_FEE_CAP,
      };
      return { verdict: verifyEnvelope(envelope, call, context), ledger: ledger.sequence };
    },
  } satisfies Target;
}

interface BatchWallet {
  readonly id: string;
  readonly kind: string;
  readonly address: string | null;
}

/** Wallets are created by a transaction that we build ourselves: verifying it is comparing it with a second building. */
async function provisioningTarget(db: Sql, deps: Deps, batchId: string): Promise<Target> {
  const { rows: wallets } = await sql<BatchWallet>`
    select id, kind, address from wallets where batch_id = ${batchId} order by id`.execute(db);
  const signatories = wallets.flatMap(({ id, address }) => (address === null ? [] : [{ walletId: id, address }]));
  if (signatories.length === 0 || signatories.length < wallets.length)
    throw refuse('INVALID_STATE', `batch ${batchId} has wallets without keys`);
  const channels = wallets.some((wallet) => wallet.kind === 'CHANNEL');
  const channel = channels ? null : await firstChannel(db);
  const source = channel?.address ?? deps.sponsorAddress;
  const asset = deps.network.assets[0];
  const rebuild = async () => {
    const [account, ledger] = await Promise.all([deps.rpc.account(source), deps.rpc.latestLedger()]);
    const envelope = (chainTime: number) =>
      buildProvisioning({
        networkPassphrase: deps.network.passphrase,
        source,
        sequence: account.value?.sequence ?? -1n,
        sponsor: deps.sponsorAddress,
        wallets: signatories.map(({ address }) => address),
        asset: channels || asset === undefined ? null : asset,
        chainTime,
      });
    return { envelope, sequence: (account.value?.sequence ?? -1n) + 1n, ledger };
  };
  return {
    source,
    marketplaceId: null,
    orderId: null,
    signatories: channel === null ? signatories : [...signatories, channel],
    sponsorSigns: true,
    call: null,
    build: async () => {
      const { envelope, ledger } = await rebuild();
      return envelope(ledger.closedAt);
    },
    verify: async (candidate) => {
      const { envelope, sequence, ledger } = await rebuild();
      return {
        verdict: judge(candidate, envelope, sequence, deps.network.passphrase, ledger.closedAt),
        ledger: ledger.sequence,
      };
    },
  };
}

async function firstChannel(db: Sql): Promise<Signatory | null> {
  const { rows } = await sql<Signatory>`
    select id as "walletId", address from wallets where kind = 'CHANNEL' and status = 'READY' order by id limit 1`.execute(
    db,
  );
  return rows[0] ?? null;
}

/** An envelope that lives less than this is not worth signing. */
const LIFETIME_LEFT_S = 20;

/** Ours is compared with a second building at the same bounds: anything else in it is not what was asked for. */
function judge(
  candidate: string,
  rebuild: (chainTime: number) => string,
  sequence: bigint,
  passphrase: string,
  chainTime: number,
): Verdict {
  const transaction = TransactionBuilder.fromXdr(candidate, passphrase);
  if (transaction instanceof FeeBumpTransaction) throw new TypeError('a prepared envelope is no fee bump');
  if (BigInt(transaction.sequence) !== sequence) return { verdict: 'STALE', reason: 'the sequence number was used' };
  const maxTime = Number(transaction.timeBounds?.maxTime ?? 0);
  if (maxTime < chainTime + LIFETIME_LEFT_S) return { verdict: 'STALE', reason: 'the time bounds are nearly over' };
  if (rebuild(maxTime - PROVISIONING_LIFETIME_S) !== candidate)
    return {
      verdict: 'DIFFERENT',
      differences: [{ field: 'envelope', expected: 'the provisioning of this batch', actual: 'another transaction' }],
    };
  const { hash } = hashes(candidate, passphrase);
  return { verdict: 'OK', hash, sequence, maxTime, fee: BigInt(transaction.fee), contractId: '' };
}
