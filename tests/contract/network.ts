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
import { type ContractBook, createContractBook } from '../../providers/escrow/contracts.ts';
import { createDirect } from '../../providers/escrow/direct.ts';
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
  /** pinned factories and builds, as a deployment would be configured */
  readonly contracts: ContractBook;
  readonly gateways: Readonly<Record<EscrowGateway['name'], EscrowGateway>>;
  readonly info: NetworkInfo;
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

/** What `GET /control/info` says of the escrow contracts. */
interface NetworkInfo {
  readonly asset: { readonly contract: string };
  readonly fee_wallet: string;
  readonly fee_wallet_as_argument: boolean;
  readonly factories: { readonly single: string; readonly multi: string };
  readonly wasm_hashes: { readonly single: string; readonly multi: string };
}

async function escrowParts(sandbox: Sandbox, rpc: ChainRpc): Promise<Pick<Network, 'info' | 'contracts' | 'gateways'>> {
  const info = (await (await fetch(`${sandbox.url}/control/info`)).json()) as NetworkInfo;
  const { factories, wasm_hashes: hashesOf, fee_wallet_as_argument: feeWalletIsArgument } = info;
  const contracts = createContractBook({
    rpc,
    factories: {
      SINGLE_RELEASE: { contractId: factories.single, wasmHash: hashesOf.single },
      MULTI_RELEASE: { contractId: factories.multi, wasmHash: hashesOf.multi },
    },
    builds: [
      { type: 'SINGLE_RELEASE', wasmHash: hashesOf.single, feeWalletIsArgument },
      { type: 'MULTI_RELEASE', wasmHash: hashesOf.multi, feeWalletIsArgument },
    ],
    feeWallet: info.fee_wallet,
  });
  const direct = createDirect({ rpc, networkPassphrase: sandbox.core.networkPassphrase, contracts });
  const url = `${sandbox.url}/trustless-work`;
  const rest = createTrustlessWork({ url, apiKey: 'our.key', beyond: direct });
  return { info, contracts, gateways: { 'trustless-work': rest, direct } };
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
    ...(await escrowParts(sandbox, rpc)),
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
