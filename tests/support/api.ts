/** The API in this process on a database of its own; Temporal cannot be reached. For what needs no workflow. */
import { randomBytes } from 'node:crypto';
import { Keypair, StrKey } from '@stellar/stellar-sdk/base';
import { sql } from 'kysely';
import { startApi } from '../../api/server.ts';
import { readDestination } from '../../providers/chain/destination.ts';
import { createChainRpc } from '../../providers/chain/rpc.ts';
import { loadConfig } from '../../config/config.ts';
import { readBooks } from '../../db/ledger/statement.ts';
import { createPaymentProviders, paymentNetwork } from '../../providers/payment/index.ts';
import type { Orm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { type TestDatabase, createTestDatabase } from './database.ts';

interface ApiResponse {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

export interface TestApi {
  readonly url: string;
  readonly database: TestDatabase;
  readonly platformKey: string;
  request(method: string, path: string, options?: RequestOptions): Promise<ApiResponse>;
  stop(): Promise<void>;
}

interface RequestOptions {
  readonly key?: string | null;
  readonly body?: unknown;
  /** instead of `body`: exactly these bytes */
  readonly raw?: string;
  readonly headers?: Record<string, string>;
}

/** @param overrides variables of the environment */
export async function startTestApi(overrides: Record<string, string> = {}): Promise<TestApi> {
  const database = await createTestDatabase();
  const platformKey = `pk_sandbox_${randomBytes(16).toString('hex')}`;
  const address = Keypair.random().publicKey();
  const contract = StrKey.encodeContract(randomBytes(32));
  const config = loadConfig(
    {
      DATABASE_URL: database.appUrl,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      STELLAR_NETWORK: 'sandbox',
      NETWORK_PASSPHRASE: 'Sandbox ; November 2026',
      HORIZON_URL: 'http://127.0.0.1:1',
      SOROBAN_RPC_URL: 'http://127.0.0.1:1',
      TRUSTLESS_WORK_URL: 'http://127.0.0.1:1',
      TRUSTLESS_WORK_API_KEY: 'none',
      TRUSTLESS_WORK_FEE_WALLET: address,
      ESCROW_FACTORY_SINGLE: contract,
      ESCROW_FACTORY_MULTI: contract,
      ESCROW_WASM_SINGLE: '0'.repeat(64),
      ESCROW_WASM_MULTI: '0'.repeat(64),
      ASSETS: `USDC:${address}`,
      SPONSOR_ADDRESS: address,
      SANDBOX_CONTROL_URL: 'http://127.0.0.1:1',
      PLATFORM_API_KEY: platformKey,
      PORT: '0',
      LOG_LEVEL: 'silent',
      ...overrides,
    },
    'api',
  );
  const chain = createChainRpc({ url: config.stellar.rpcUrls[0] ?? '', networkPassphrase: config.stellar.passphrase });
  const api = await startApi(config, {
    chainBalance: chain.assetBalance,
    chainDestination: (account, asset) => readDestination(chain, account, asset),
    chainLedger: async () => (await chain.latestLedger()).sequence,
    payments: (orm) =>
      createPaymentProviders({
        ...paymentNetwork(config.network, config.stellar.passphrase),
        rpc: chain,
        books: readBooks(orm),
        withKey: null,
      }),
  });
  return {
    url: api.url,
    database,
    platformKey,
    request: (method, path, options = {}) => send(api.url, platformKey, method, path, options),
    stop: async () => {
      await api.stop();
      await database.drop();
    },
  };
}

async function send(url: string, platformKey: string, method: string, path: string, options: RequestOptions) {
  const { key = platformKey, body, raw, headers = {} } = options;
  const payload = raw ?? (body === undefined ? undefined : JSON.stringify(body));
  const response = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(payload === undefined ? {} : { body: payload }),
  });
  const text = await response.text();
  const json: unknown = text.startsWith('{') ? JSON.parse(text) : { text };
  return { status: response.status, body: json as Record<string, unknown>, headers: response.headers };
}

/** A marketplace with its first key. */
export async function createMarketplace(api: TestApi, name: string): Promise<{ id: string; key: string }> {
  const { status, body } = await api.request('POST', '/marketplaces', { body: { name } });
  if (status !== 201) throw new Error(`POST /marketplaces answered ${status}`);
  return { id: String(body['id']), key: String(body['api_key']) };
}

/** A user as its workflow would have left it, wallet not ready. @param orm of the schema's owner */
export async function insertUser(orm: Orm, marketplaceId: string, status = 'ACTIVE'): Promise<string> {
  const id = newId('user');
  await sql`insert into users (id, marketplace_id, external_user_id, status, metadata, created_at, updated_at)
    values (${id}, ${marketplaceId}, ${id}, ${status}, '{}', now(), now())`.execute(pool(orm));
  await sql`insert into wallets (id, marketplace_id, user_id, kind, provider, status, created_at, updated_at)
    values (${newId('wallet')}, ${marketplaceId}, ${id}, 'USER', 'crypto-native', 'PROVISIONING', now(), now())`.execute(
    pool(orm),
  );
  return id;
}
