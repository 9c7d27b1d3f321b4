/** A client of the local Trustless Work API and wallets to use it with. Ledgers close as soon as something is pending. */
import { createHash } from 'node:crypto';
import { expect } from '@jest/globals';
import {
  Account,
  Asset,
  type FeeBumpTransaction,
  Keypair,
  Operation,
  type Transaction,
  TransactionBuilder,
} from '@stellar/stellar-sdk/base';
import { formatAmount } from '../../domain/money.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../sandbox/server.ts';

export interface Reply {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly text: string;
  readonly headers: Headers;
}

export interface Client {
  readonly sandbox: Sandbox;
  readonly asset: Asset;
  /** Key of a wallet by name; the same name is the same wallet. */
  key(name: string): Keypair;
  address(name: string): string;
  /** Creates wallets that trust the asset and hold `units` of it; null leaves the trustline out. */
  open(names: readonly string[], units: string | null): Promise<void>;
  request(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
  post(path: string, body: unknown): Promise<Reply>;
  get(path: string): Promise<Reply>;
  parse(envelope: string): Transaction | FeeBumpTransaction;
  /** Signs what a build answered with and sends it; answers with the reply to the send. */
  sign(reply: Reply, signer: string): Promise<Reply>;
  /** Units held by a wallet, undefined without a trustline. */
  holds(name: string): string | undefined;
  close(): Promise<void>;
}

const API_KEY = 'client.secret';

export async function startClient(options: SandboxOptions = {}): Promise<Client> {
  const sandbox = await startSandbox({ ledgerMs: 0, ...options });
  const { core } = sandbox;
  core.onPending(() => setImmediate(() => core.closeLedger()));
  const [code = '', issuer = ''] = sandbox.accounts.usdc.split(':');
  const asset = new Asset(code, issuer);
  const key = (name: string): Keypair => Keypair.fromRawEd25519Seed(createHash('sha256').update(name).digest());
  const address = (name: string): string => key(name).publicKey();

  const request: Client['request'] = async (method, path, body, headers = {}) => {
    const payload = typeof body === 'string' ? body : JSON.stringify(body);
    const response = await fetch(`${sandbox.url}/trustless-work${path}`, {
      method,
      headers: { 'content-type': 'application/json', 'x-api-key': API_KEY, ...headers },
      ...(body === undefined ? {} : { body: payload }),
    });
    const text = await response.text();
    return {
      status: response.status,
      body: JSON.parse(text) as Record<string, unknown>,
      text,
      headers: response.headers,
    };
  };
  const control = async (path: string, body: unknown): Promise<void> => {
    const response = await fetch(`${sandbox.url}/control${path}`, { method: 'POST', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(await response.text());
  };
  const trust = async (name: string): Promise<void> => {
    const account = core.view().account(address(name));
    const builder = new TransactionBuilder(new Account(address(name), String(account?.sequence)), {
      fee: '100',
      networkPassphrase: core.networkPassphrase,
      timebounds: { minTime: 0, maxTime: 0 },
    });
    const transaction = builder.addOperation(Operation.changeTrust({ asset })).build();
    transaction.sign(key(name));
    core.submit(transaction.toXdr());
    core.closeLedger();
  };
  const parse: Client['parse'] = (envelope) => TransactionBuilder.fromXdr(envelope, core.networkPassphrase);

  return {
    sandbox,
    asset,
    key,
    address,
    request,
    parse,
    post: (path, body) => request('POST', path, body),
    get: (path) => request('GET', path),
    open: async (names, units) => {
      for (const name of names) {
        await control('/faucet', { address: address(name), amount: '100', asset: 'native' });
        if (units === null) continue;
        await trust(name);
        if (units !== '0') await control('/faucet', { address: address(name), amount: units });
      }
    },
    sign: (reply, signer) => {
      const transaction = parse(String(reply.body['unsignedTransaction']));
      transaction.sign(key(signer));
      return request('POST', '/helper/send-transaction', { signedXdr: transaction.toXdr() });
    },
    holds: (name) => {
      const line = core.view().trustline(address(name), sandbox.accounts.usdc);
      return line && formatAmount(line.balance);
    },
    close: () => sandbox.close(),
  };
}

/** Wallets that an escrow's roles name. */
export const ROLES = ['channel', 'buyer', 'seller', 'fees', 'operator', 'resolver'] as const;

export type Orders = ReturnType<typeof createOrders>;

/** Requests of a single-release order between the wallets of `ROLES`, each brought to its end. */
export function createOrders(api: Client) {
  const roles = (): Record<string, string> => ({
    approver: api.address('buyer'),
    serviceProvider: api.address('seller'),
    platformAddress: api.address('fees'),
    releaseSigner: api.address('operator'),
    disputeResolver: api.address('resolver'),
    receiver: api.address('seller'),
  });

  const terms = (change: Record<string, unknown> = {}): Record<string, unknown> => ({
    signer: api.address('channel'),
    engagementId: 'esc_1',
    title: 'Logo',
    description: 'Three drafts',
    roles: roles(),
    amount: 250,
    platformFee: 0.5,
    milestones: [{ description: 'all of it' }],
    trustline: { address: api.asset.getIssuer() ?? '', symbol: 'USDC' },
    ...change,
  });

  /** Deploys and waits until the read model shows it. */
  const deploy = async (change: Record<string, unknown> = {}): Promise<string> => {
    const sent = await api.sign(await api.post('/deployer/single-release', terms(change)), 'channel');
    expect(sent.body).toMatchObject({ status: 'SUCCESS' });
    api.sandbox.core.closeLedger();
    return String(sent.body['contractId']);
  };

  const step = async (path: string, body: Record<string, unknown>, signer: string): Promise<Reply> => {
    const built = await api.post(`/escrow/single-release/${path}`, body);
    expect([built.status, built.text]).toEqual([201, expect.stringContaining('"unsignedTransaction"')]);
    const sent = await api.sign(built, signer);
    expect(sent.body).toEqual({ status: 'SUCCESS', message: expect.any(String) });
    api.sandbox.core.closeLedger();
    return sent;
  };

  const fund = (contractId: string, amount: number, funder = 'funder'): Promise<Reply> =>
    step('fund-escrow', { contractId, signer: api.address(funder), amount }, funder);
  const approve = (contractId: string, milestoneIndex = '0'): Promise<Reply> =>
    step('approve-milestone', { contractId, milestoneIndex, approver: api.address('buyer') }, 'buyer');

  return { roles, terms, deploy, step, fund, approve };
}
