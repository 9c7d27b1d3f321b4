/** Help for trying things out; these routes exist with the sandbox only. */
import { z } from 'zod';
import { findUser } from '../../db/resources/user.ts';
import { pool } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import { Refusal, refuseField } from '../../domain/refusal.ts';
import { AmountInput, AssetInput } from '../inputs.ts';
import { type Answer, type Call, marketplaceOf, route } from '../route.ts';
import { waitFor } from '../waiting.ts';

const DepositBody = z.strictObject({ user_id: z.string(), amount: AmountInput, asset: AssetInput.nullish() });
const DepositSchema = z
  .object({ transaction_hash: z.string(), ledger: z.int() })
  .meta({ id: 'SandboxDeposit', description: 'A payment on the sandbox network to the wallet of the user' });

/** A new user's wallet takes a ledger or two: the caller need not poll for it. */
const WALLET_WAIT_MS = 15_000;
const FAUCET_TIMEOUT_MS = 20_000;

async function readyAddress(call: Call, userId: string): Promise<string> {
  const { orm, stopping } = call.deps;
  const look = () => findUser(pool(orm), marketplaceOf(call).id, userId);
  if ((await look()) === null) {
    const missing = { pointer: '/user_id', code: 'NOT_FOUND', detail: 'there is no such user' };
    throw new Refusal('NOT_FOUND', `/user_id: ${missing.detail}`, { errors: [missing] });
  }
  const address = await waitFor(
    async () => {
      const wallet = (await look())?.wallet;
      return wallet?.status === 'READY' ? wallet.address : null;
    },
    { ms: WALLET_WAIT_MS, signal: stopping },
  );
  if (address !== null) return address;
  const state = { current_status: 'PROVISIONING', allowed: [], operation: null, retryable: true };
  throw new Refusal('INVALID_STATE', 'the wallet of the user is not ready yet', state);
}

async function pay(url: string, payment: Record<string, string>): Promise<Answer> {
  const response = await fetch(`${url}/control/faucet`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(payment),
    signal: AbortSignal.timeout(FAUCET_TIMEOUT_MS),
  }).catch(() => null);
  if (response === null || !response.ok) throw new Refusal('UNAVAILABLE', 'the sandbox did not make the payment');
  return { status: 201, body: DepositSchema.parse(await response.json()) };
}

export const sandboxRoutes = (controlUrl: string) => [
  route({
    method: 'post',
    path: '/sandbox/deposits',
    tag: 'sandbox',
    summary: 'Pay into the wallet of a user, as a buyer would from outside',
    access: { keys: 'marketplace', scope: 'write' },
    body: DepositBody,
    answers: { 201: DepositSchema },
    reasons: ['VALIDATION_ERROR', 'NOT_FOUND', 'INVALID_STATE', 'UNAVAILABLE'],
    handle: async (call) => {
      const { amount, user_id: userId } = call.body;
      const code = call.body.asset ?? marketplaceOf(call).defaultAsset;
      const asset = call.deps.config.assets.find((candidate) => candidate.code === code);
      if (asset === undefined) throw refuseField('/asset', 'VALUE', 'this asset is not settled here; see /config');
      const payment = { amount: formatAmount(amount), asset: `${asset.code}:${asset.issuer}` };
      const address = await readyAddress(call, userId);
      // In the transaction of the idempotency row: a repeat waits for the first payment instead of making another.
      return call.once(() => pay(controlUrl, { address, ...payment }));
    },
  }),
];
