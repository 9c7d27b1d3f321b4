/** A sandbox with two funded wallets, as the SDK's own Horizon client sees it. */
import { connect, createServer, type Socket } from 'node:net';
import {
  Asset,
  BASE_FEE,
  Horizon,
  Keypair,
  Operation,
  type Transaction,
  TransactionBuilder,
} from '@stellar/stellar-sdk';
import type { HorizonOptions } from '../../sandbox/horizon/options.ts';
import { type Sandbox, type SandboxOptions, startSandbox } from '../../sandbox/server.ts';

type Op = Parameters<TransactionBuilder['addOperation']>[0];

export interface Market {
  readonly sandbox: Sandbox;
  readonly server: Horizon.Server;
  readonly alice: Keypair;
  readonly bob: Keypair;
  readonly usdc: Asset;
  build(source: Keypair, operations: readonly Op[], signers?: readonly Keypair[]): Promise<Transaction>;
  submit(source: Keypair, operations: readonly Op[], signers?: readonly Keypair[]): Promise<string>;
  get(path: string, headers?: Record<string, string>): Promise<Response>;
  records(path: string): Promise<Record<string, unknown>[]>;
  switches(changed: Partial<HorizonOptions>): Promise<number>;
}

/** Ledgers close as soon as something is pending; alice and bob hold 100 USDC each. */
export async function openMarket(options: SandboxOptions = {}): Promise<Market> {
  const sandbox = await startSandbox({ ledgerMs: 0, ...options });
  sandbox.clock.set({ mode: 'on_demand' });
  const server = new Horizon.Server(`${sandbox.url}/horizon`, { allowHttp: true });
  const [alice, bob] = [Keypair.random(), Keypair.random()];
  const usdc = new Asset('USDC', sandbox.accounts.issuer.publicKey());
  const post = (path: string, body: object) =>
    fetch(`${sandbox.url}/control${path}`, { method: 'POST', body: JSON.stringify(body) });
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${sandbox.url}/horizon${path}`, { headers });
  const build: Market['build'] = async (source, operations, signers = [source]) => {
    const account = await server.loadAccount(source.publicKey());
    const builder = new TransactionBuilder(account, {
      fee: BASE_FEE,
      networkPassphrase: sandbox.core.networkPassphrase,
    });
    for (const operation of operations) builder.addOperation(operation);
    const transaction = builder.setTimeout(60).build();
    for (const signer of signers) transaction.sign(signer);
    return transaction;
  };
  const submit: Market['submit'] = async (source, operations, signers) =>
    (await server.submitTransaction(await build(source, operations, signers))).hash;
  const market = { sandbox, server, alice, bob, usdc, build, submit, get };
  for (const one of [alice, bob]) {
    await server.friendbot(one.publicKey()).call();
    await submit(one, [Operation.changeTrust({ asset: usdc })]);
    await post('/faucet', { address: one.publicKey(), amount: '100' });
  }
  return {
    ...market,
    records: async (path) => {
      const page = (await (await get(path)).json()) as { _embedded: { records: Record<string, unknown>[] } };
      return page._embedded.records;
    },
    switches: async (changed) => (await post('/horizon', changed)).status,
  };
}

const PATIENCE_MS = 20_000;

/** Resolves when `check` gives something. @throws Error when it does not within 20 s */
export async function until<T>(check: () => T | undefined | false): Promise<T> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; ) {
    const found = check();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`not within ${PATIENCE_MS} ms: ${String(check)}`);
}

export interface Wire {
  readonly url: string;
  /** heads of the requests that went over it, oldest first */
  readonly requests: string[];
  /** how many streams the sandbox has begun to serve over it */
  hellos(): number;
  /** cuts every connection, as a network does */
  cut(): void;
  close(): Promise<void>;
}

/** A wire to the sandbox that can be watched and cut. */
export async function openWire(target: string): Promise<Wire> {
  const { port } = new URL(target);
  const sockets = new Set<Socket>();
  const requests: string[] = [];
  let hellos = 0;
  const server = createServer((client) => {
    const behind = connect(Number(port), '127.0.0.1');
    for (const [from, to] of [
      [client, behind],
      [behind, client],
    ] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
      from.on('data', (chunk: Buffer) => {
        const text = chunk.toString('latin1');
        if (from === client && /^(GET|POST) /.test(text)) requests.push(text);
        if (from === behind && text.includes('data: "hello"')) hellos += 1;
        to.write(chunk);
      });
    }
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('not listening');
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    hellos: () => hellos,
    cut,
    close: async () => {
      cut();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
