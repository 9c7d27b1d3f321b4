/** Whether the network that the configured addresses serve is the one that the other settings mean. */
import type { Logger } from 'pino';
import { type Config, refuseProblems } from '../config/config.ts';
import { createChainHistory } from '../providers/chain/horizon.ts';
import type { ChainRpc, Head } from '../providers/chain/port.ts';
import { createChainRpc } from '../providers/chain/rpc.ts';
import { ProviderError } from '../providers/errors.ts';

/**
 * Looks once, at boot. What does not answer now is not judged: a provider's outage must not keep a worker from starting.
 * @throws ConfigError naming every setting that contradicts the network
 */
export async function checkNetwork(config: Config, log: Logger): Promise<void> {
  const { passphrase, rpcUrls, horizonUrls } = config.stellar;
  const unlessAway = async <T>(look: () => Promise<T>): Promise<T | null> => {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof ProviderError)) throw error;
      log.warn({ provider: error.provider, reason: error.message }, 'boot.network_not_checked');
      return null;
    }
  };
  const rpcs = rpcUrls.map((url) => ({ url, port: createChainRpc({ url, networkPassphrase: passphrase }) }));
  const heads = [
    ...rpcs.map(({ url, port }) => ({ name: 'SOROBAN_RPC_URL', url, head: () => port.head() })),
    ...horizonUrls.map((url) => ({ name: 'HORIZON_URL', url, head: () => createChainHistory({ url }).head() })),
  ];
  const foreign = async (head: () => Promise<Head>) =>
    (await unlessAway(async () => (await head()).networkPassphrase !== passphrase)) === true;
  const wrong = await Promise.all(heads.map(async (at) => ({ ...at, wrong: await foreign(at.head) })));
  const problems = wrong.flatMap(({ name, url, wrong: is }) =>
    is ? [`${name}: ${new URL(url).host} serves another network than NETWORK_PASSPHRASE names`] : [],
  );
  const ours = rpcs.find(({ url }) => !wrong.some((at) => at.name === 'SOROBAN_RPC_URL' && at.url === url && at.wrong));
  if (ours !== undefined) problems.push(...((await unlessAway(() => missing(config, ours.port))) ?? []));
  refuseProblems(problems);
}

/** Accounts and contracts that are named and not there. */
async function missing(config: Config, rpc: ChainRpc): Promise<string[]> {
  const { factories, feeWallet } = config.trustlessWork;
  const accounts = [
    { name: 'SPONSOR_ADDRESS', address: config.sponsorAddress },
    { name: 'TRUSTLESS_WORK_FEE_WALLET', address: feeWallet },
    ...config.assets.map(({ code, issuer }) => ({ name: `ASSETS (issuer of ${code})`, address: issuer })),
  ];
  const contracts = [
    { name: 'ESCROW_FACTORY_SINGLE', address: factories.single },
    { name: 'ESCROW_FACTORY_MULTI', address: factories.multi },
  ];
  const found = await Promise.all([
    ...accounts.map(async (named) => ({ ...named, value: (await rpc.account(named.address)).value })),
    ...contracts.map(async (named) => ({ ...named, value: (await rpc.contractCode(named.address)).value })),
  ]);
  return found
    .filter(({ value }) => value === null)
    .map(({ name, address }) => `${name}: ${address} is not on this network`);
}
