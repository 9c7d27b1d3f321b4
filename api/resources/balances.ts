/** What a user owns: balance, statement, and the comparison of our books with the chain. */
import { z } from 'zod';
import { balance, balanceAt, statement } from '../../db/ledger/statement.ts';
import { findUser } from '../../db/resources/user.ts';
import { findUserWallet, walletBooks } from '../../db/resources/wallet.ts';
import { type Sql, pool } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import { refuseField } from '../../domain/refusal.ts';
import { Amount, AssetCode, Id } from '../../domain/resources/common.ts';
import { BalanceSchema, BalanceTransactionSchema } from '../../domain/resources/user.ts';
import { providedWallet, readingChain } from '../chain.ts';
import { AssetInput, IdParams, TimeInput, limitQuery, listBody, listOf } from '../inputs.ts';
import { type Call, found, marketplaceOf, route } from '../route.ts';

const VerifySchema = z
  .object({
    user_id: Id,
    asset: AssetCode,
    books: Amount,
    chain: Amount,
    ledger: z.int(),
    in_flight: Amount,
    difference: Amount,
  })
  .meta({ id: 'BalanceVerification', description: 'difference = chain − books' });

const assetQuery = { asset: AssetInput.optional() };
const SEQ = 'CURSOR: not a cursor of this list';

interface Account {
  readonly db: Sql;
  readonly marketplaceId: string;
  readonly userId: string;
  readonly asset: { readonly code: string; readonly issuer: string };
}

/** The user of the path and the asset of the query, default the marketplace's. */
async function accountOf(call: Call<{ id: string }, { asset?: string | undefined }>): Promise<Account> {
  const marketplace = marketplaceOf(call);
  const db = pool(call.deps.orm);
  const user = found(await findUser(db, marketplace.id, call.params.id), 'user');
  const code = call.query.asset ?? marketplace.defaultAsset;
  const asset = call.deps.config.assets.find((candidate) => candidate.code === code);
  if (asset === undefined) throw refuseField('/asset', 'VALUE', 'this asset is not settled here; see /config');
  return { db, marketplaceId: marketplace.id, userId: user.id, asset };
}

export const BALANCE_ROUTES = [
  route({
    method: 'get',
    path: '/users/:id/balance',
    tag: 'balance',
    summary: 'Balance of a user; with `at` as it was at that time',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    query: z.strictObject({ ...assetQuery, at: TimeInput.optional() }),
    answers: { 200: BalanceSchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'UNAVAILABLE'],
    handle: async (call) => {
      const { db, asset, ...of } = await accountOf(call);
      const wallet = found(await findUserWallet(db, of.marketplaceId, of.userId), 'wallet');
      const provider = call.deps.payments[wallet.provider];
      const { at } = call.query;
      if (at !== undefined && !provider.custodial)
        throw refuseField('/at', 'UNSUPPORTED', 'the balance of a wallet of the user’s own is known as it is now only');
      const books = { ...of, asset: asset.code };
      const [{ available, reserved }, { inEscrow }] =
        at === undefined
          ? await Promise.all([
              readingChain(call, () => provider.getBalance(providedWallet(call, wallet), asset)),
              balance(db, books),
            ])
          : await balanceAt(db, { ...books, at }).then((then) => [then, then] as const);
      const body = {
        user_id: of.userId,
        asset: asset.code,
        available: formatAmount(available),
        reserved: formatAmount(reserved),
        total: formatAmount(available + reserved),
        in_escrow: formatAmount(inEscrow),
        at: at ?? new Date().toISOString(),
      };
      return { status: 200, body };
    },
  }),
  route({
    method: 'get',
    path: '/users/:id/balance/transactions',
    tag: 'balance',
    summary: 'Statement of a user, newest first',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    query: z.strictObject({
      ...limitQuery,
      ...assetQuery,
      cursor: z
        .string()
        .regex(/^\d{1,18}$/, SEQ)
        .optional(),
    }),
    answers: { 200: listOf(BalanceTransactionSchema) },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR'],
    handle: async (call) => {
      const { db, asset, ...of } = await accountOf(call);
      const { limit, cursor } = call.query;
      const from = cursor === undefined ? {} : { cursor: BigInt(cursor) };
      const { entries, hasMore } = await statement(db, { ...of, asset: asset.code, limit, ...from });
      const items = entries.map((entry) => ({
        id: entry.id,
        type: entry.type,
        direction: entry.direction,
        amount: formatAmount(entry.amount),
        asset: entry.asset,
        available_after: formatAmount(entry.availableAfter),
        resource: entry.resource,
        transaction_hash: entry.transactionHash,
        created_at: entry.createdAt,
      }));
      return listBody({ items, hasMore }, hasMore ? (entries.at(-1)?.seq.toString() ?? null) : null);
    },
  }),
  route({
    method: 'get',
    path: '/users/:id/balance/verify',
    tag: 'balance',
    summary: 'Compare the books with the chain',
    access: { keys: 'marketplace', scope: 'read' },
    params: IdParams,
    query: z.strictObject(assetQuery),
    answers: { 200: VerifySchema },
    reasons: ['NOT_FOUND', 'VALIDATION_ERROR', 'UNAVAILABLE'],
    handle: async (call) => {
      const { db, asset, ...of } = await accountOf(call);
      const wallet = found(await findUserWallet(db, of.marketplaceId, of.userId), 'wallet');
      const { address } = wallet;
      const onChain = address === null ? null : await readingChain(call, () => call.deps.chainBalance(address, asset));
      const chain = onChain?.value ?? 0n;
      // What lies in a wallet of the user's own is not in our books: there is nothing to compare.
      const { books, inFlight } = call.deps.payments[wallet.provider].custodial
        ? await walletBooks(db, wallet.id, asset.code)
        : { books: chain, inFlight: 0n };
      const body = {
        user_id: of.userId,
        asset: asset.code,
        books: formatAmount(books),
        chain: formatAmount(chain),
        ledger: onChain?.ledger ?? 0,
        in_flight: formatAmount(inFlight),
        difference: formatAmount(chain - books),
      };
      return { status: 200, body };
    },
  }),
];
