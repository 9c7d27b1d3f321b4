/** A local network with the real adapters in front of it, and wallets that sign with `node:crypto` keys. */
import { createHash, createPrivateKey, sign } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Keypair } from '@stellar/stellar-sdk/base';
import type { Asset } from '../../domain/chain.ts';
import { buildProvisioning } from '../../providers/chain/classic.ts';
import { type SigningKey, feeBump, hashes, signEnvelope } from '../../providers/chain/envelope.ts';
import { createChainHistory } from '../../providers/chain/horizon.ts';
import type { ChainHistory, ChainRpc, TransactionOutcome } from '../../providers/chain/port.ts';
import { createChainRpc } from '../../providers/chain/rpc.ts';
import { createTrustlessWork } from '../../providers/escrow/trustless-work.ts';
import type { EscrowGateway } from '../../providers/escrow/port.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../sandbox/server.ts';

export type Landed = Extract<TransactionOutcome, { status: 'LANDED' }>;

export interface Network {
  readonly sandbox: Sandbox;
  readonly passphrase: string;
  readonly asset: Asset & { readonly issuer: string };
  readonly rpc: ChainRpc;
  readonly history: ChainHistory;
  readonly gateway: EscrowGateway;
  readonly sponsor: SigningKey;
  /** The key of a name; the same name is the same wallet. */
  key(name: string): SigningKey;
  address(name: string): string;
  /** Provisions sponsored wallets with a trustline, as the product does. */
  provision(names: readonly string[]): Promise<Landed>;
  /** Money from the issuer. */
  faucet(name: string, units: string): Promise<void>;
  /** Signs, wraps in the sponsor's fee bump, submits, closes one ledger and answers with the outcome. */
  land(envelope: string, signers: readonly string[]): Promise<Landed>;
  close(): Promise<void>;
}

/** PKCS #8 header in front of a raw ed25519 seed. */
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function signingKey(seed: Buffer): SigningKey {
  const secret = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  const { publicKey } = { publicKey: Keypair.fromRawEd25519Seed(seed).publicKey() };
  return { publicKey, sign: (hash) => new Uint8Array(sign(null, hash, secret)) };
}

export async function startNetwork(options: SandboxOptions = {}): Promise<Network> {
  const sandbox = await startSandbox({ ledgerMs: 0, ...options });
  const passphrase = sandbox.core.networkPassphrase;
  const [code = '', issuer = ''] = sandbox.accounts.usdc.split(':');
  const asset = { code, issuer };
  const rpc = createChainRpc({ url: `${sandbox.url}/rpc`, networkPassphrase: passphrase });
  const key = (name: string): SigningKey => signingKey(createHash('sha256').update(name).digest());
  const sponsor = key('sponsor');

  const control = async (path: string, body: unknown): Promise<void> => {
    const response = await fetch(`${sandbox.url}/control${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(await response.text());
  };
  await control('/faucet', { address: sponsor.publicKey, amount: '100000', asset: 'native' });

  const land: Network['land'] = async (envelope, signers) => {
    const signed = signEnvelope(envelope, passphrase, signers.map(key));
    const bumped = feeBump(signed, passphrase, sponsor, { maxFeePerOp: 1_000n });
    const submitted = await rpc.submit(bumped.envelope);
    if (submitted.status !== 'PENDING') throw new Error(JSON.stringify(submitted));
    sandbox.core.closeLedger();
    const outcome = await rpc.transaction(hashes(signed, passphrase).hash);
    if (outcome.status !== 'LANDED') throw new Error(JSON.stringify(outcome));
    return outcome;
  };

  return {
    sandbox,
    passphrase,
    asset,
    rpc,
    history: createChainHistory({ url: `${sandbox.url}/horizon` }),
    gateway: createTrustlessWork({ url: `${sandbox.url}/trustless-work`, apiKey: 'our.key' }),
    sponsor,
    key,
    address: (name) => key(name).publicKey,
    provision: async (names) => {
      const { value } = await rpc.account(sponsor.publicKey);
      const { closedAt } = await rpc.latestLedger();
      const envelope = buildProvisioning({
        networkPassphrase: passphrase,
        source: sponsor.publicKey,
        sequence: value?.sequence ?? 0n,
        sponsor: sponsor.publicKey,
        wallets: names.map((name) => key(name).publicKey),
        assets: [asset],
        maxTime: closedAt + 120,
      });
      return land(envelope, ['sponsor', ...names]);
    },
    faucet: (name, amount) => control('/faucet', { address: key(name).publicKey, amount }),
    land,
    close: () => sandbox.close(),
  };
}

/** Runs something against a loopback server that answers every request in one way; null never answers. */
export async function withServer(
  answer: { readonly status: number; readonly body: string; readonly headers?: Record<string, string> } | null,
  run: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer((_req, res) => {
    if (answer !== null) res.writeHead(answer.status, answer.headers).end(answer.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}
