/** The invariants of the books, compared with the chain. */
import { openOrm } from '../db/orm.ts';
import { verifyLedger, type Verification } from '../db/ledger/verify.ts';
import { pool } from '../db/sql.ts';
import { createChainRpc } from '../providers/chain/rpc.ts';

interface CoherenceOptions {
  readonly databaseUrl: string;
  readonly rpcUrl: string;
  readonly networkPassphrase: string;
  readonly assets: readonly { readonly code: string; readonly issuer: string }[];
}

/** L1–L9 once, the balances on chain included. */
export async function checkCoherence(options: CoherenceOptions): Promise<Verification> {
  const rpc = createChainRpc({
    url: options.rpcUrl,
    networkPassphrase: options.networkPassphrase,
  });
  const orm = await openOrm({ url: options.databaseUrl, poolMax: 2, applicationName: 'orchestrator-verify' });
  try {
    return await verifyLedger({
      trx: pool(orm),
      chain: {
        balanceAt: async (address, code) => {
          const asset = options.assets.find((candidate) => candidate.code === code);
          if (asset === undefined) throw new Error(`${code} is no asset of this network`);
          return rpc.assetBalance(address, asset);
        },
      },
    });
  } finally {
    await orm.close();
  }
}

/** What `checkCoherence` needs, from the environment of a serving process. */
export function coherenceOptions(env: Readonly<Record<string, string>>): CoherenceOptions {
  const assets = (env['ASSETS'] ?? '').split(',').map((text) => {
    const [code = '', issuer = ''] = text.split(':');
    return { code, issuer };
  });
  return {
    databaseUrl: env['DATABASE_URL'] ?? '',
    rpcUrl: (env['SOROBAN_RPC_URL'] ?? '').split(',')[0] ?? '',
    networkPassphrase: env['NETWORK_PASSPHRASE'] ?? '',
    assets,
  };
}
