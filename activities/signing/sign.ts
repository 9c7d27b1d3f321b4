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
      const target = await resolveTarget(deps, stored.intent, stored.intentKey);
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
      // Not saved: another attempt prepared or signed meanwhile. Preparing again hands out what counts now.
      return { status: (await saveSigned(deps, stored, target, outer, ledger)) ? 'SIGNED' : 'STALE' };
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

/** A funding books what may leave the wallet from now on in the transaction that saves its envelope. */
async function saveSigned(
  deps: Deps,
  stored: StoredTransaction,
  target: Target,
  outer: { envelope: string; hash: string },
  ledger: number,
): Promise<boolean> {
  const { call } = target;
  if (call === null || stored.intent.kind !== 'FUND_ESCROW') return save(pool(deps.orm), stored, outer, ledger);
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
 * Envelope, state, and the hash on the order as soon as the transaction may land, in one statement.
 * @returns false when another attempt of this activity was faster: its envelope is the one that counts
 */
async function save(
  db: Sql,
  stored: StoredTransaction,
  outer: { envelope: string; hash: string },
  ledger: number,
): Promise<boolean> {
  const shown = JSON.stringify({ step: 'signed', transaction_hash: stored.innerHash });
  const { rows } = await sql<{ id: string }>`
    with signed as (
      update chain_transactions set status = 'SIGNED', signed_at = now(), signed_ledger = ${ledger}
      where id = ${stored.id} and status = 'PREPARED' and inner_hash = ${stored.innerHash} returning id, order_id
    ), saved as (
      insert into chain_envelopes (outer_hash, transaction_id, envelope, created_at)
      select ${outer.hash}, id, ${outer.envelope}, now() from signed
    ), shown as (
      update orders set operation = operation || ${shown}::jsonb, waiting_for = null, updated_at = now()
      where id in (select order_id from signed) and operation is not null returning id
    ), counted as (
      insert into resource_counters as c (resource_id, version, sequence) select id, 1, 0 from shown
      on conflict (resource_id) do update set version = c.version + 1
    )
    select id from signed`.execute(db);
  return rows[0] !== undefined;
}
