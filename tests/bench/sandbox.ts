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
  xdr,
} from '@stellar/stellar-sdk';
import { assembleTransaction, type Api, parseRawSimulation } from '@stellar/stellar-sdk/rpc';
import { ESCROW_KEY } from '../../sandbox/contracts/index.ts';
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

/** An escrow that anybody can fund. */
async function openEscrow(sandbox: Sandbox, owner: Keypair): Promise<string> {
  const address = owner.publicKey();
  const api = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const headers = { 'content-type': 'application/json', 'x-api-key': 'bench.secret' };
    const options = { method: 'POST', headers, body: JSON.stringify(body) };
    return (await (await fetch(`${sandbox.url}/trustless-work${path}`, options)).json()) as Record<string, unknown>;
  };
  const roles = ['approver', 'serviceProvider', 'platformAddress', 'releaseSigner', 'disputeResolver', 'receiver'];
  const { unsignedTransaction } = await api('/deployer/single-release', {
    signer: address,
    engagementId: 'bench',
    title: 'Logo',
    description: 'Three drafts',
    roles: Object.fromEntries(roles.map((role) => [role, address])),
    amount: 250,
    platformFee: 0.5,
    milestones: [{ description: 'all of it' }],
    trustline: { address: sandbox.accounts.issuer.publicKey(), symbol: 'USDC' },
  });
  const deploy = TransactionBuilder.fromXdr(String(unsignedTransaction), sandbox.core.networkPassphrase);
  deploy.sign(owner);
  const sent = api('/helper/send-transaction', { signedXdr: deploy.toXdr() });
  await new Promise<void>((resolve) => {
    const stop = sandbox.core.onPending(() => {
      stop();
      resolve();
    });
  });
  sandbox.core.closeLedger();
  return String((await sent)['contractId']);
}

type MakeCall = (wallet: Keypair, next: Keypair) => xdr.Operation;

const stroop = nativeToScVal(1n, { type: 'i128' });
const addressOf = (wallet: Keypair): xdr.ScVal => new Address(wallet.publicKey()).toScVal();

function transfers(sandbox: Sandbox): MakeCall {
  const asset = new Asset('USDC', sandbox.accounts.issuer.publicKey());
  const token = new Contract(asset.contractId(sandbox.core.networkPassphrase));
  return (wallet, next) => token.call('transfer', addressOf(wallet), addressOf(next), stroop);
}

async function fundings(sandbox: Sandbox, owner: Keypair): Promise<MakeCall> {
  const id = await openEscrow(sandbox, owner);
  const terms = sandbox.core.view().contractData(id, ESCROW_KEY)?.value ?? '';
  const expected = xdr.ScVal.fromXdr(terms, 'base64');
  return (wallet) => new Contract(id).call('fund_escrow', addressOf(wallet), expected, stroop);
}

/** Contract calls per second: simulated, sent and applied; what the client does in between is not counted. */
async function callRate(sandbox: Sandbox, wallets: readonly Keypair[], make: MakeCall): Promise<number> {
  const calls = wallets.map((wallet, index) => {
    const next = wallets[(index + 1) % wallets.length] ?? wallet;
    return transaction(sandbox, wallet, [make(wallet, next)]);
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
  const calls = {
    'token transfers': transfers(sandbox),
    'escrow fundings': await fundings(sandbox, wallets[0] as Keypair),
  };
  for (let round = 1; round <= ROUNDS; round += 1) {
    const closing = closingTime(sandbox, wallets);
    console.log(`ledger of ${PAYERS} payments:   ${closing.toFixed(3)} s (budget < 1 s)`);
    for (const [name, make] of Object.entries(calls)) {
      const rate = await callRate(sandbox, wallets, make);
      console.log(`${name} per second: ${Math.round(rate)} (budget ≥ 200)`);
    }
  }
  await sandbox.close();
  agent.destroy();
  const { before, after } = await streamMemory();
  console.log(`${STREAMS} idle streams: ${Math.round(after)} MB, ${Math.round(before)} MB without (budget < 300 MB)`);
}
