/**
 * Whether the settings of one network belong together. A passphrase of one network with the issuer of another signs what
 * nobody asked for, or takes worthless money for the real one (F40).
 */
import type { Parsed } from './variables.ts';

interface KnownNetwork {
  readonly passphrase: string;
  /** Circle's issuer of USDC */
  readonly usdcIssuer: string;
  /** of the escrow API */
  readonly escrowApi: RegExp;
  /** hosts that name another network */
  readonly foreignHosts: RegExp;
}

const KNOWN: Record<'testnet' | 'public', KnownNetwork> = {
  testnet: {
    passphrase: 'Test SDF Network ; September 2015',
    usdcIssuer: 'GBBD47IF6LWK7P7MDEVSCWR7DPUWV3NY3DTQEVFL4NAT4AQH3ZLLFLA5',
    escrowApi: /^(?!api\.)/,
    foreignHosts: /mainnet|pubnet|futurenet/,
  },
  public: {
    passphrase: 'Public Global Stellar Network ; September 2015',
    usdcIssuer: 'GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN',
    escrowApi: /^(?!dev\.|beta\.)/,
    foreignHosts: /testnet|futurenet/,
  },
};

/** What contradicts STELLAR_NETWORK, as `VARIABLE: why`. Variables that are wrong by themselves are not looked at. */
export function networkProblems(values: Partial<Parsed>): string[] {
  const { STELLAR_NETWORK: network } = values;
  if (network === undefined) return [];
  return network === 'sandbox' ? sandboxProblems(values) : knownProblems(values, network);
}

function sandboxProblems({ NETWORK_PASSPHRASE }: Partial<Parsed>): string[] {
  const real = Object.entries(KNOWN).find(([, { passphrase }]) => passphrase === NETWORK_PASSPHRASE);
  return real === undefined ? [] : [`NETWORK_PASSPHRASE: is that of ${real[0]}, not of a sandbox`];
}

function knownProblems(values: Partial<Parsed>, network: 'testnet' | 'public'): string[] {
  const known = KNOWN[network];
  const other = KNOWN[network === 'public' ? 'testnet' : 'public'];
  const problems: string[] = [];
  const { NETWORK_PASSPHRASE: passphrase, TRUSTLESS_WORK_URL: escrowApi, ASSETS: assets = [] } = values;
  if (passphrase !== undefined && passphrase !== known.passphrase)
    problems.push(`NETWORK_PASSPHRASE: is not that of ${network}`);
  for (const name of ['HORIZON_URL', 'SOROBAN_RPC_URL', 'TRUSTLESS_WORK_URL'] as const)
    for (const url of [values[name] ?? []].flat())
      if (known.foreignHosts.test(new URL(url).hostname)) problems.push(`${name}: is not of ${network}`);
  const host = escrowApi === undefined ? '' : new URL(escrowApi).hostname;
  if (host.endsWith('trustlesswork.com') && !known.escrowApi.test(host))
    problems.push(`TRUSTLESS_WORK_URL: does not serve ${network}`);
  for (const { code, issuer } of assets) {
    if (issuer === other.usdcIssuer) problems.push(`ASSETS: the issuer of ${code} is not of ${network}`);
    else if (network === 'public' && code === 'USDC' && issuer !== known.usdcIssuer)
      problems.push('ASSETS: this is not the issuer of USDC on the public network');
  }
  return problems;
}
