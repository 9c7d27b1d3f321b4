/**
 * Sign and save, on the only queue whose worker can open keys. The envelope is verified once more, signed, wrapped in the
 * sponsor's fee bump, and stored with its hashes *before* anything is sent: from here on it may land at any time.
 */
import { sign as ed25519 } from 'node:crypto';
import { sql } from 'kysely';
import { correlation } from '../booking/order-row.ts';
import { fundSaved } from '../../db/ledger/balances.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { INCLUSION_FEE_BID } from '../../domain/limits.ts';
import { type SigningKey, feeBump, signEnvelope } from '../../providers/chain/envelope.ts';
import { ProviderError } from '../../providers/errors.ts';
import type { VerifiedEnvelope } from '../../providers/escrow/port.ts';
import type { Deps, Signer } from '../context.ts';
import { refuse, waitFor, waitForProvider } from '../failure.ts';
import { type StoredTransaction, transactionById } from '../chain/store.ts';
import { releaseLease } from '../chain/leases.ts';
import { type Target, resolveTarget } from '../chain/target.ts';
import { paymentSigned } from '../withdrawals/operation.ts';
import type { ResolvedCall } from '../escrow/call.ts';
import { withWalletKeys } from './keys.ts';

export function createSignActivity(deps: Deps) {
  return {
    /**
     * @returns STALE when the envelope went out of date before it was signed: it has to be prepared again
     * @throws ApplicationFailure ENVELOPE_REJECTED
     */
    async signTransaction(input: { transaction_id: string }): Promise<{ status: 'SIGNED' | 'STALE' }> {
      const stored = await transactionById(pool(deps.orm), input.transaction_id);
      if (stored.status !== 'PREPARED') return { status: 'SIGNED' };
      // Whoever waited so long that its source account went to another one asks for it again.
      if (!stored.holdsSource) return { status: 'STALE' };
      const target = await resolveTarget(deps, stored.intent, stored.intentKey);
      if (target === null) throw waitFor('WALLET', 'a wallet is not ready yet');
      const { verdict, ledger } = await verify(target, stored);
      if (verdict.verdict === 'STALE') return { status: 'STALE' };
      const differences =
        verdict.verdict === 'DIFFERENT' ? verdict.differences : rowDifferences(stored, target, verdict);
      if (differences.length > 0) {
        await releaseLease(pool(deps.orm), stored.intentKey);
        throw refuse('ENVELOPE_REJECTED', 'the stored envelope is not what was asked for', { differences });
      }
      const { sponsor } = deps;
      if (sponsor === null) throw new Error('this worker has no sponsor key');
      const passphrase = deps.network.passphrase;
      const payer = signingKey(sponsor);
      const inner =
        target.call === null
          ? await signClassic(deps, stored, target, payer)
          : await signCall(deps, stored, target.call);
      const outer = feeBump(inner, passphrase, payer, { maxFeePerOp: INCLUSION_FEE_BID });
      if (await saveSigned(deps, stored, target, outer, ledger)) return { status: 'SIGNED' };
      // Another attempt signed meanwhile, and that may land; or it prepared, and preparing again hands out what counts now.
      const { status } = await transactionById(pool(deps.orm), stored.id);
      return { status: status === 'PREPARED' ? 'STALE' : 'SIGNED' };
    },
  };
}

/** One wallet calls an escrow, and its provider signs for it. */
async function signCall(deps: Deps, stored: StoredTransaction, { signer }: ResolvedCall): Promise<string> {
  const wallet = { id: signer.wallet_id, address: signer.address };
  const request = { wallet, envelope: stored.unsignedEnvelope, signedEnvelope: null };
  // Users with their own wallet are asked before anything is built: what comes here is ours to sign.
  const signature = await deps.payments['crypto-native'].signEscrowTransaction(request);
  if (signature.status === 'SIGNED') return signature.envelope;
  throw new Error(`wallet ${wallet.id} does not sign`);
}

function signClassic(deps: Deps, stored: StoredTransaction, target: Target, payer: SigningKey): Promise<string> {
  return withWalletKeys(deps, target.signatories, (keys) => {
    const signers = [...keys, ...(target.sponsorSigns ? [payer] : [])];
    // A source that signs both as channel and as sponsor signs once: an unused signature is refused.
    const unique = [...new Map(signers.map((signer) => [signer.publicKey, signer])).values()];
    return signEnvelope(stored.unsignedEnvelope, deps.network.passphrase, unique);
  });
}

/** By its row the envelope is found again and proved dead: what is wrong there is as bad as a wrong envelope. */
function rowDifferences(stored: StoredTransaction, target: Target, envelope: VerifiedEnvelope) {
  const pairs: readonly (readonly [field: string, expected: unknown, actual: unknown])[] = [
    ['row: hash', envelope.hash, stored.innerHash],
    ['row: source', target.source, stored.source],
    ['row: sequence', envelope.sequence, stored.sequence],
    ['row: max time', BigInt(envelope.maxTime), stored.maxTime],
    ['row: contract', target.call === null ? null : envelope.contractId, stored.contractId],
  ];
  return pairs
    .filter(([, expected, actual]) => expected !== actual)
    .map(([field, expected, actual]) => ({ field, expected: String(expected), actual: String(actual) }));
}

async function verify(target: Target, stored: StoredTransaction) {
  try {
    return await target.verify(stored.unsignedEnvelope);
  } catch (error) {
    if (error instanceof ProviderError) throw waitForProvider(error);
    throw error;
  }
}

export const signingKey = ({ publicKey, key }: Signer): SigningKey => ({
  publicKey,
  sign: (hash) => ed25519(null, hash, key),
});

/** A funding books what may leave the wallet from now on in the transaction that saves its envelope. */
async function saveSigned(
  deps: Deps,
  stored: StoredTransaction,
  target: Target,
  outer: { envelope: string; hash: string },
  ledger: number,
): Promise<boolean> {
  const { call } = target;
  const { intent } = stored;
  if (intent.kind === 'PAY')
    return inTransaction(deps.orm, async (trx) => {
      if (!(await save(trx, stored, outer, ledger))) return false;
      await paymentSigned(trx, intent.payment.id, stored);
      return true;
    });
  if (call === null || intent.kind !== 'FUND_ESCROW') return save(pool(deps.orm), stored, outer, ledger);
  const { escrow, order } = call;
  return inTransaction(deps.orm, async (trx) => {
    if (!(await save(trx, stored, outer, ledger))) return false;
    await fundSaved(
      trx,
      { workflowId: correlation().workflowId, step: 'fund-saved', updateId: stored.id },
      {
        marketplaceId: order.marketplaceId,
        asset: escrow.asset,
        escrowId: escrow.id,
        funder: { walletId: escrow.wallets.funder.wallet_id },
        amount: escrow.amount,
      },
    );
    return true;
  });
}

/**
 * Envelope, state, and the hash on the order, or on its dispute, as soon as the transaction may land, in one statement.
 * @returns false when another attempt of this activity was faster (its envelope is the one that counts), or when the
 *   source account was given to somebody else: touching the lease keeps it from being freed under the envelope
 */
async function save(
  db: Sql,
  stored: StoredTransaction,
  outer: { envelope: string; hash: string },
  ledger: number,
): Promise<boolean> {
  const shown = JSON.stringify({ step: 'signed', transaction_hash: stored.innerHash });
  const { rows } = await sql<{ id: string }>`
    with held as (
      update source_leases set polled_at = clock_timestamp()
      where source = ${stored.source} and owner = ${stored.intentKey} and held_at is not null returning owner
    ), signed as (
      update chain_transactions set status = 'SIGNED', signed_at = now(), signed_ledger = ${ledger}
      where id = ${stored.id} and status = 'PREPARED' and inner_hash = ${stored.innerHash}
        and exists (select from held) returning id, order_id, workflow_id
    ), saved as (
      insert into chain_envelopes (outer_hash, transaction_id, envelope, created_at)
      select ${outer.hash}, id, ${outer.envelope}, now() from signed
    ), shown as (
      update orders o set waiting_for = null, updated_at = now(),
        operation = case when s.workflow_id = 'order/' || o.id then o.operation || ${shown}::jsonb else o.operation end
      from signed s where o.id = s.order_id and o.operation is not null returning o.id
    ), decided as (
      update disputes set operation = operation || ${shown}::jsonb, updated_at = now()
      where 'dispute/' || id in (select workflow_id from signed) and operation is not null returning id
    ), counted as (
      insert into resource_counters as c (resource_id, version, sequence)
      select id, 1, 0 from (select id from shown union all select id from decided order by id) changed
      on conflict (resource_id) do update set version = c.version + 1
    )
    select id from signed`.execute(db);
  return rows[0] !== undefined;
}
