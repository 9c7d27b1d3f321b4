/**
 * Sign and save, on the only queue whose worker can open keys. The envelope is verified once more, signed, wrapped in the
 * sponsor's fee bump, and stored with its hashes *before* anything is sent: from here on it may land at any time.
 */
import { sign as ed25519 } from 'node:crypto';
import { sql } from 'kysely';
import { recordOrderChange, lockOrder, updateOrder, correlation } from '../booking/order-row.ts';
import { fundSaved } from '../../db/ledger/balances.ts';
import { type Sql, inTransaction, pool } from '../../db/sql.ts';
import { INCLUSION_FEE_BID } from '../../domain/limits.ts';
import { type SigningKey, feeBump, signEnvelope } from '../../providers/chain/envelope.ts';
import { ProviderError } from '../../providers/errors.ts';
import type { Deps, Signer } from '../context.ts';
import { refuse, waitFor } from '../failure.ts';
import { type StoredTransaction, transactionById } from '../chain/store.ts';
import { releaseLease } from '../chain/leases.ts';
import { type Signatory, type Target, resolveTarget } from '../chain/target.ts';

export function createSignActivity(deps: Deps) {
  return {
    /**
     * @returns STALE when the envelope went out of date before it was signed: it has to be prepared again
     * @throws ApplicationFailure ENVELOPE_REJECTED
     */
    async signTransaction(input: { transaction_id: string }): Promise<{ status: 'SIGNED' | 'STALE' }> {
      const stored = await transactionById(pool(deps.orm), input.transaction_id);
      if (stored.status !== 'PREPARED') return { status: 'SIGNED' };
      const target = await resolveTarget(deps, stored.intent);
      if (target === null) throw waitFor('WALLET', 'a wallet is not ready yet');
      const { verdict, ledger } = await verify(target, stored);
      if (verdict.verdict === 'STALE') return { status: 'STALE' };
      if (verdict.verdict === 'DIFFERENT' || verdict.hash !== stored.innerHash) {
        await releaseLease(pool(deps.orm), stored.intentKey);
        const differences = verdict.verdict === 'DIFFERENT' ? verdict.differences : [];
        throw refuse('ENVELOPE_REJECTED', 'the stored envelope is not what was asked for', { differences });
      }
      const { sponsor } = deps;
      if (sponsor === null) throw new Error('this worker has no sponsor key');
      const keys = await openKeys(deps, target.signatories);
      const signers = [...keys, ...(target.sponsorSigns ? [sponsor] : [])];
      // A source that signs both as channel and as sponsor signs once: an unused signature is refused.
      const unique = [...new Map(signers.map((signer) => [signer.publicKey, signer])).values()];
      const passphrase = deps.network.passphrase;
      const inner = signEnvelope(stored.unsignedEnvelope, passphrase, unique.map(signingKey));
      const outer = feeBump(inner, passphrase, signingKey(sponsor), { maxFeePerOp: INCLUSION_FEE_BID });
      await inTransaction(deps.orm, (trx) => saveSigned(trx, stored, target, outer, ledger));
      return { status: 'SIGNED' };
    },
  };
}

async function verify(target: Target, stored: StoredTransaction) {
  try {
    return await target.verify(stored.unsignedEnvelope);
  } catch (error) {
    if (error instanceof ProviderError) throw waitFor('PROVIDER', error.message, error.retryAfterMs ?? undefined);
    throw error;
  }
}

const signingKey = ({ publicKey, key }: Signer): SigningKey => ({
  publicKey,
  sign: (hash) => ed25519(null, hash, key),
});

async function openKeys(deps: Deps, signatories: readonly Signatory[]): Promise<Signer[]> {
  const { vault } = deps;
  if (vault === null) throw new Error('this worker has no key vault');
  const { rows } = await sql<{ walletId: string; ciphertext: string }>`
    select wallet_id as "walletId", ciphertext from wallet_keys
    where wallet_id = any(${signatories.map(({ walletId }) => walletId)})`.execute(pool(deps.orm));
  return Promise.all(
    signatories.map(async ({ walletId, address }) => {
      const sealed = rows.find((row) => row.walletId === walletId);
      if (sealed === undefined) throw new Error(`wallet ${walletId} has no key`);
      return { publicKey: address, key: await vault.open(sealed.ciphertext, { walletId, publicKey: address }) };
    }),
  );
}

async function saveSigned(
  trx: Sql,
  stored: StoredTransaction,
  target: Target,
  outer: { envelope: string; hash: string },
  ledger: number,
): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    update chain_transactions set status = 'SIGNED', signed_at = now(), signed_ledger = ${ledger}
    where id = ${stored.id} and status = 'PREPARED' and inner_hash = ${stored.innerHash} returning id`.execute(trx);
  // Another attempt of this activity was faster: its envelope is the one that counts.
  if (rows[0] === undefined) return;
  await sql`insert into chain_envelopes (outer_hash, transaction_id, envelope, created_at)
    values (${outer.hash}, ${stored.id}, ${outer.envelope}, now())`.execute(trx);
  const resolved = target.call;
  if (resolved === null) return;
  const { escrow, order } = resolved;
  if (stored.intent.kind === 'FUND_ESCROW')
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
  await showSigned(trx, order.id, stored.innerHash);
}

/** The hash is on the order as soon as the transaction may land. */
async function showSigned(trx: Sql, orderId: string, hash: string): Promise<void> {
  const order = await lockOrder(trx, orderId);
  if (order.operation === null) return;
  const operation = { ...order.operation, step: 'signed', transaction_hash: hash };
  await updateOrder(trx, order, { operation, waitingFor: null });
  await recordOrderChange(trx, order, { request_id: null, actor: null }, []);
}
