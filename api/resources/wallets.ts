/** A user's wallet: its state, how to pay into it, what moved on it. */
import QRCode from 'qrcode';
import { z } from 'zod';
import { findUserWallet, listMovements } from '../../db/resources/wallet.ts';
import { pool } from '../../db/sql.ts';
import type { WalletResource } from '../../domain/resources/user.ts';
import { WalletSchema, WalletTransactionSchema } from '../../domain/resources/user.ts';
import { WALLET_STATUSES } from '../../domain/statuses.ts';
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

/** A payment request as wallets read it (SEP-7); outside the public network it names its network. */
function paymentUri(address: string, asset: { code: string; issuer: string }, passphrase: string | null): string {
  const query = new URLSearchParams({ destination: address, asset_code: asset.code, asset_issuer: asset.issuer });
  if (passphrase !== null) query.set('network_passphrase', passphrase);
  // SEP-7 wants percent encoding; `+` for a space is a form's habit
  return `web+stellar:pay?${query.toString().replaceAll('+', '%20')}`;
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
    reasons: ['NOT_FOUND'],
    handle: async (call) => ({ status: 200, body: await walletOf(call) }),
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
      const { status, address } = await walletOf(call);
      const { defaultAsset } = marketplaceOf(call);
      const asset = found(config.assets.find(({ code }) => code === defaultAsset) ?? null, 'asset');
      const passphrase = config.network === 'public' ? null : config.stellar.passphrase;
      const ready = status === 'READY' ? address : null;
      const uri = ready === null ? null : paymentUri(ready, asset, passphrase);
      const body = {
        user_id: call.params.id,
        status,
        address: ready,
        memo: null,
        asset,
        network: config.network,
        sep7_uri: uri,
        qr: uri === null ? null : await qrCode(uri),
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
    handle: async (call) => {
      const { limit, cursor = null } = call.query;
      const wallet = await walletOf(call);
      return listAnswer(await listMovements(pool(call.deps.orm), wallet.id, { limit, cursor }));
    },
  }),
];
