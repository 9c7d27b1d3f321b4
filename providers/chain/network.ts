/** The network as configured: every address of its RPC and of its Horizon behind one port each. */
import { endpointNames } from '../../domain/providers.ts';
import type { ProviderWatch } from '../limits/watch.ts';
import { createPool } from './failover.ts';
import { createChainHistory } from './horizon.ts';
import type { ChainHistory, ChainRpc, Pooled } from './port.ts';
import { createChainRpc } from './rpc.ts';

interface NetworkOptions {
  /** in order of preference; at least one */
  readonly urls: readonly string[];
  readonly networkPassphrase: string;
  /** requests per minute that this process may make of each; 0: no limit */
  readonly perMinute: number;
  readonly watch: ProviderWatch;
}

const named = <P>(names: readonly string[], ports: readonly P[]) =>
  ports.map((port, index) => ({ name: names[index] ?? '', port }));

/** @throws ProviderError from every method */
export function createNetworkRpc(options: NetworkOptions): Pooled<ChainRpc> {
  const { urls, networkPassphrase } = options;
  const ports = urls.map((url) => createChainRpc({ url, networkPassphrase }));
  const endpoints = named(endpointNames('rpc', urls), ports);
  return createPool({ ...options, provider: 'rpc', endpoints, probe: (rpc) => rpc.head() });
}

/** @throws ProviderError from every method */
export function createNetworkHistory(options: NetworkOptions): Pooled<ChainHistory> {
  const { urls } = options;
  const ports = urls.map((url) => createChainHistory({ url }));
  const endpoints = named(endpointNames('horizon', urls), ports);
  return createPool({ ...options, provider: 'horizon', endpoints, probe: (history) => history.head() });
}
