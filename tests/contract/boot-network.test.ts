/** A worker looks at the network before it works: settings that mean another one are named, all of them at once. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { sandboxEnvironment } from '../../cli/stack/sandbox.ts';
import { ConfigError, type Environment, loadConfig } from '../../config/config.ts';
import { checkNetwork } from '../../worker/network.ts';
import { type Network, startNetwork } from './network.ts';

/** An account and a contract that the sandbox does not have. */
const NOBODY = 'GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN';
const NOWHERE = 'CCW67TSZV3SSS2HXMBQ5JFGCKJNXKZM7UQUWUZPUTHXSTZLEO7SJMI75';
const log = pino({ level: 'silent' });

let network: Network;
let env: Environment;

beforeAll(async () => {
  network = await startNetwork();
  env = {
    ...(await sandboxEnvironment(network.sandbox.url)),
    DATABASE_URL: 'postgres://app:app@127.0.0.1:5432/orchestrator',
    TEMPORAL_ADDRESS: '127.0.0.1:7233',
    SPONSOR_ADDRESS: network.sponsor.publicKey,
  };
});
afterAll(() => network.close());

/** Names of the settings that are refused. */
async function wrong(changes: Environment): Promise<string[]> {
  try {
    await checkNetwork(loadConfig({ ...env, ...changes }, 'api'), log);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const lines = error.message.split('\n').slice(1);
    return lines.map((line) => /^\s*(\w+)/.exec(line)?.[1] ?? line);
  }
}

test('settings that fit the network are accepted', async () => {
  expect(await wrong({})).toEqual([]);
});

test('addresses that serve another network than the passphrase names are refused', async () => {
  expect(await wrong({ NETWORK_PASSPHRASE: 'somebody else’s sandbox' })).toEqual(['SOROBAN_RPC_URL', 'HORIZON_URL']);
});

test('an issuer, a sponsor, a fee wallet and factories that are not there are refused, all in one message', async () => {
  const changes = {
    SPONSOR_ADDRESS: NOBODY,
    TRUSTLESS_WORK_FEE_WALLET: NOBODY,
    ASSETS: `USDC:${NOBODY}`,
    ESCROW_FACTORY_SINGLE: NOWHERE,
    ESCROW_FACTORY_MULTI: NOWHERE,
  };
  expect((await wrong(changes)).sort()).toEqual(Object.keys(changes).sort());
});

test('a provider that does not answer keeps no worker from starting', async () => {
  expect(await wrong({ SOROBAN_RPC_URL: 'http://127.0.0.1:1', HORIZON_URL: 'http://127.0.0.1:1' })).toEqual([]);
});
