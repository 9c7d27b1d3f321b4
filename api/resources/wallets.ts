/** A user's wallet: its state, how to pay into it, what moved on it. */
import QRCode from 'qrcode';
import { z } from 'zod';
import { findUserWallet, listMovements } from '../../db/resources/wallet.ts';
import { pool } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import type { WalletResource } from '../../domain/resources/user.ts';
import { WalletSchema, WalletTransactionSchema } from '../../domain/resources/user.ts';
import { WALLET_STATUSES } from '../../domain/statuses.ts';
import { providedWallet, readingChain } from '../chain.ts';
import { IdParams, listAnswer, listOf, pageQuery } from '../inputs.ts';
import { type Call, found, marketplaceOf, route } from '../route.ts';

const DepositSchema = z
  .object({
    user_id: z.string(),
    status: z.enum(WALLET_STATUSES),
    address: z.string().nullable(),
    memo: z.null(),
    asset: z.object({ code: z.string(), issuer: z.string() }),
    network: z.string(),
    sep7_uri: z.string().nullable(),
    qr: z.string().nullable().meta({ description: 'The URI as an SVG image in a data URI' }),
  })
  .meta({ id: 'DepositInstructions' });

const walletOf = async (call: Call<{ id: string }>): Promise<WalletResource> =>
  found(await findUserWallet(pool(call.deps.orm), marketplaceOf(call).id, call.params.id), 'user');

/** Every asset there is. What a wallet holds whose key is the user's, the chain says; the others are in our books. */
async function withBalances(call: Call, wallet: WalletResource): Promise<WalletResource> {
  const { payments, config } = call.deps;
  const provider = payments[wallet.provider];
  if (provider.custodial) {
    const missing = config.assets.filter(({ code }) => !wallet.balances.some(({ asset }) => asset === code));
    return { ...wallet, balances: [...wallet.balances, ...missing.map(({ code }) => ({ asset: code, amount: '0' }))] };
  }
  const balances = config.assets.map(async (asset) => {
    const { available } = await readingChain(call, () => provider.getBalance(providedWallet(call, wallet), asset));
    return { asset: asset.code, amount: formatAmount(available) };
  });
  return { ...wallet, balances: await Promise.all(balances) };
}

async function qrCode(uri: string): Promise<string> {
  const svg = await QRCode.toString(uri, { type: 'svg', errorCorrectionLevel: 'M' });
  return `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`;
}

export const WALLET_ROUTES = [
  route({
    method: 'get',
    path: '/users/:id/wallet',
    tag: 'wallet',
    summary: 'Wallet of a user',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    answers: { 200: WalletSchema },
    reasons: ['NOT_FOUND', 'UNAVAILABLE'],
    handle: async (call) => ({ status: 200, body: await withBalances(call, await walletOf(call)) }),
  }),
  route({
    method: 'get',
    path: '/users/:id/wallet/deposit',
    tag: 'wallet',
    summary: 'How to pay into the wallet',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    answers: { 200: DepositSchema },
    reasons: ['NOT_FOUND'],
    handle: async (call) => {
      const { config } = call.deps;
      const wallet = await walletOf(call);
      const { defaultAsset } = marketplaceOf(call);
      const asset = found(config.assets.find(({ code }) => code === defaultAsset) ?? null, 'asset');
      const provider = call.deps.payments[wallet.provider];
      const deposit = provider.getDepositInfo(providedWallet(call, wallet), asset);
      const body = {
        user_id: call.params.id,
        status: wallet.status,
        address: deposit?.address ?? null,
        memo: deposit?.memo ?? null,
        asset,
        network: config.network,
        sep7_uri: deposit?.sep7Uri ?? null,
        qr: deposit === null ? null : await qrCode(deposit.sep7Uri),
      };
      return { status: 200, body };
    },
  }),
  route({
    method: 'get',
    path: '/users/:id/wallet/transactions',
    tag: 'wallet',
    summary: 'What moved on the wallet, newest first',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    query: z.strictObject(pageQuery),
    answers: { 200: listOf(WalletTransactionSchema) },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: async (call) => listAnswer(await listMovements(pool(call.deps.orm), (await walletOf(call)).id, call.query)),
  }),
];
