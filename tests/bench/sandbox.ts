/**
 * The sandbox as the rest of a benchmark sees it: it must never be the bottleneck. A ledger of a thousand payments,
 * contract calls through the RPC as clients make them, and the memory of idle streams.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Agent, get, type IncomingMessage, request } from 'node:http';
import { createInterface } from 'node:readline';
import {
  Account,
  Address,
  Asset,
  Contract,
  Keypair,
  nativeToScVal,
  Operation,
  type Transaction,
  TransactionBuilder,
  type xdr,
} from '@stellar/stellar-sdk';
import { assembleTransaction, type Api, parseRawSimulation } from '@stellar/stellar-sdk/rpc';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';

const PAYERS = 1_000;
const STREAMS = 5_000;
const ROUNDS = 3;
/** requests under way at once */
const CONCURRENCY = 16;
const OPERATIONS = 100;

const key = (name: string): Keypair => Keypair.fromRawEd25519Seed(createHash('sha256').update(name).digest());
const seconds = (since: bigint): number => Number(process.hrtime.bigint() - since) / 1e9;

function transaction(sandbox: Sandbox, source: Keypair, operations: readonly xdr.Operation[]): Transaction {
  const sequence = sandbox.core.view().account(source.publicKey())?.sequence ?? 0n;
  const builder = new TransactionBuilder(new Account(source.publicKey(), String(sequence)), {
    fee: '100',
    networkPassphrase: sandbox.core.networkPassphrase,
    timebounds: { minTime: 0, maxTime: 0 },
  });
  for (const operation of operations) builder.addOperation(operation);
  return builder.build();
}

function submit(sandbox: Sandbox, signed: Transaction): void {
  const { status } = sandbox.core.submit(signed.toXdr());
  if (status !== 'PENDING') throw new Error(`not queued: ${status}`);
}

function apply(sandbox: Sandbox, source: Keypair, operations: readonly xdr.Operation[]): void {
  const one = transaction(sandbox, source, operations);
  one.sign(source);
  submit(sandbox, one);
  sandbox.core.closeLedger();
}

/** Everybody holds XLM and 1 000 USDC. */
function openWallets(sandbox: Sandbox, wallets: readonly Keypair[]): void {
  const { friendbot, issuer } = sandbox.accounts;
  const asset = new Asset('USDC', issuer.publicKey());
  const batches = Array.from({ length: wallets.length / OPERATIONS }, (_, index) =>
    wallets.slice(index * OPERATIONS, (index + 1) * OPERATIONS).map((one) => one.publicKey()),
  );
  for (const batch of batches) {
    const create = batch.map((destination) => Operation.createAccount({ destination, startingBalance: '100' }));
    apply(sandbox, friendbot, create);
  }
  for (const wallet of wallets) {
    const one = transaction(sandbox, wallet, [Operation.changeTrust({ asset })]);
    one.sign(wallet);
    submit(sandbox, one);
  }
  sandbox.core.closeLedger();
  for (const batch of batches) {
    apply(
      sandbox,
      issuer,
      batch.map((destination) => Operation.payment({ destination, asset, amount: '1000' })),
    );
  }
}

/** Seconds that a ledger of a thousand payments takes to close. */
function closingTime(sandbox: Sandbox, wallets: readonly Keypair[]): number {
  const asset = new Asset('USDC', sandbox.accounts.issuer.publicKey());
  wallets.forEach((wallet, index) => {
    const to = wallets[(index + 1) % wallets.length] ?? wallet;
    const pay = Operation.payment({ destination: to.publicKey(), asset, amount: '1' });
    const one = transaction(sandbox, wallet, [pay]);
    one.sign(wallet);
    submit(sandbox, one);
  });
  const start = process.hrtime.bigint();
  const { transactions } = sandbox.core.closeLedger();
  const time = seconds(start);
  const paid = transactions.filter(({ successful }) => successful).length;
  if (paid !== PAYERS) throw new Error(`${paid} of ${PAYERS} payments`);
  return time;
}

const agent = new Agent({ keepAlive: true, maxSockets: CONCURRENCY });

function rpc(url: string, method: string, params: object): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const options = { method: 'POST', agent, headers: { 'content-type': 'application/json' } };
    const asked = request(`${url}/rpc`, options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        const { result } = JSON.parse(Buffer.concat(parts).toString('utf8')) as { result: unknown };
        resolve(result);
      });
    });
    asked.on('error', reject);
    asked.end(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }));
  });
}

/** Answers in order, some requests under way at once; and how long it took. */
async function all(url: string, method: string, transactions: readonly Transaction[]): Promise<[unknown[], number]> {
  const bodies = transactions.map((one) => ({ transaction: one.toXdr() }));
  const answers: unknown[] = [];
  let next = 0;
  const start = process.hrtime.bigint();
  const work = async (): Promise<void> => {
    for (let index = next; index < bodies.length; index = next) {
      next += 1;
      answers[index] = await rpc(url, method, bodies[index] ?? {});
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  return [answers, seconds(start)];
}

/** Contract calls per second: simulated, sent and applied; what the client does in between is not counted. */
async function callRate(sandbox: Sandbox, wallets: readonly Keypair[]): Promise<number> {
  const asset = new Asset('USDC', sandbox.accounts.issuer.publicKey());
  const token = new Contract(asset.contractId(sandbox.core.networkPassphrase));
  const stroops = nativeToScVal(1n, { type: 'i128' });
  const calls = wallets.map((wallet, index) => {
    const to = wallets[(index + 1) % wallets.length] ?? wallet;
    const parties = [wallet, to].map((one) => new Address(one.publicKey()).toScVal());
    return transaction(sandbox, wallet, [token.call('transfer', ...parties, stroops)]);
  });
  const [simulations, simulating] = await all(sandbox.url, 'simulateTransaction', calls);
  const signed = calls.map((call, index) => {
    const simulation = parseRawSimulation(simulations[index] as Api.RawSimulateTransactionResponse);
    const assembled = assembleTransaction(call, simulation).build();
    assembled.sign(wallets[index] as Keypair);
    return assembled;
  });
  const [sent, sending] = await all(sandbox.url, 'sendTransaction', signed);
  const start = process.hrtime.bigint();
  const { transactions } = sandbox.core.closeLedger();
  const applied = transactions.filter(({ successful }) => successful).length;
  if (applied !== sent.length) throw new Error(`${applied} of ${sent.length} calls`);
  return calls.length / (simulating + sending + seconds(start));
}

/** Megabytes a process holds in memory. */
function memory(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid ?? 0}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

async function startProcess(): Promise<{ child: ChildProcess; url: string }> {
  const main = new URL('../../sandbox/main.ts', import.meta.url).pathname;
  const flags = ['--disable-warning=ExperimentalWarning', main, '--port', '0', '--ledger-ms', '1000'];
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    return { child, url: (JSON.parse(line) as { url: string }).url };
  }
  throw new Error('the sandbox ended before it was ready');
}

/** An open stream that has said hello. */
function openStream(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const asked = get(url, { agent: false, headers: { accept: 'text/event-stream' } }, (response) => {
      response.once('data', () => resolve(response));
    });
    asked.on('error', reject);
  });
}

/** Memory of a sandbox process before and with idle streams, in megabytes. */
async function streamMemory(): Promise<{ before: number; after: number }> {
  const { child, url } = await startProcess();
  try {
    const before = memory(child);
    const path = `${url}/horizon/accounts/${key('idle').publicKey()}/payments?cursor=now`;
    await fetch(`${url}/horizon/friendbot?addr=${key('idle').publicKey()}`);
    const streams: IncomingMessage[] = [];
    while (streams.length < STREAMS) {
      streams.push(...(await Promise.all(Array.from({ length: OPERATIONS }, () => openStream(path)))));
    }
    const after = memory(child);
    for (const stream of streams) stream.destroy();
    return { before, after };
  } finally {
    child.kill('SIGTERM');
  }
}

/** `npm run bench -- sandbox` */
export async function run(): Promise<void> {
  const sandbox = await startSandbox({ ledgerMs: 0 });
  const wallets = Array.from({ length: PAYERS }, (_, index) => key(`payer ${index}`));
  openWallets(sandbox, wallets);
  for (let round = 1; round <= ROUNDS; round += 1) {
    const closing = closingTime(sandbox, wallets);
    console.log(`ledger of ${PAYERS} payments:   ${closing.toFixed(3)} s (budget < 1 s)`);
    const rate = await callRate(sandbox, wallets);
    console.log(`contract calls per second: ${Math.round(rate)} (budget ≥ 200)`);
  }
  await sandbox.close();
  agent.destroy();
  const { before, after } = await streamMemory();
  console.log(`${STREAMS} idle streams: ${Math.round(after)} MB, ${Math.round(before)} MB without (budget < 300 MB)`);
}
