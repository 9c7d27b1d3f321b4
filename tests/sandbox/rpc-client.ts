/** A local network with four funded wallets, and the way of a contract call through the unmodified SDK client. */
import {
  Address,
  Asset,
  BASE_FEE,
  Contract,
  Keypair,
  nativeToScVal,
  Operation,
  type Transaction,
  TransactionBuilder,
  xdr,
} from '@stellar/stellar-sdk';
import { Api, Server } from '@stellar/stellar-sdk/rpc';
import { createHash } from 'node:crypto';
import { deployedId, deploymentOf, ESCROW_KEY } from '../../sandbox/contracts/index.ts';
import { type SingleEscrow, singleEscrow } from '../../sandbox/contracts/single.ts';
import { DEFAULT_SEED, startSandbox } from '../../sandbox/server.ts';

/** Milliseconds between ledgers, and between two looks for a transaction. */
const LEDGER_MS = 20;

export const key = (name: string): Keypair =>
  Keypair.fromRawEd25519Seed(createHash('sha256').update(`rpc test ${name}`).digest());

export const wallets = {
  buyer: key('buyer'),
  seller: key('seller'),
  operator: key('operator'),
  platform: key('platform'),
} as const;

export const address = (of: string): xdr.ScVal => new Address(of).toScVal();
export const i128 = (amount: bigint): xdr.ScVal => nativeToScVal(amount, { type: 'i128' });

function escrowOf(engagement: string, amount: bigint, token: string): SingleEscrow {
  const { seller, operator, platform } = wallets;
  return {
    amount,
    description: 'three drafts',
    engagement_id: engagement,
    flags: { disputed: false, released: false, resolved: false },
    milestones: [{ approved: false, description: 'all of it', evidence: '', status: 'pending' }],
    platform_fee: 50,
    receiver_memo: 0,
    roles: {
      approver: operator.publicKey(),
      dispute_resolver: operator.publicKey(),
      platform: platform.publicKey(),
      receiver: seller.publicKey(),
      release_signer: operator.publicKey(),
      service_provider: seller.publicKey(),
    },
    title: 'Logo',
    trustline: { address: token },
  };
}

/** Signs, sends and polls; the bricks of everything else. */
function createSender(server: Server, passphrase: string) {
  const submit = async (transaction: Transaction): Promise<Api.GetTransactionResponse> => {
    const sent = await server.sendTransaction(transaction);
    if (sent.status !== 'PENDING') throw new Error(`${sent.status}: ${sent.errorResult?.result.type ?? ''}`);
    return server.pollTransaction(sent.hash, { attempts: 500, sleepStrategy: () => LEDGER_MS });
  };
  const builder = async (source: Keypair): Promise<TransactionBuilder> => {
    const account = await server.getAccount(source.publicKey());
    const timebounds = { minTime: 0, maxTime: 0 };
    return new TransactionBuilder(account, { fee: BASE_FEE, networkPassphrase: passphrase, timebounds });
  };
  const succeed = async (transaction: Transaction): Promise<Api.GetSuccessfulTransactionResponse> => {
    const result = await submit(transaction);
    if (result.status !== Api.GetTransactionStatus.SUCCESS) throw new Error(`not successful: ${result.status}`);
    return result;
  };
  const classic = async (source: Keypair, operation: xdr.Operation) => {
    const transaction = (await builder(source)).addOperation(operation).build();
    transaction.sign(source);
    return succeed(transaction);
  };
  const call = async (source: Keypair, contract: string, fn: string, ...args: xdr.ScVal[]): Promise<Transaction> =>
    (await builder(source)).addOperation(new Contract(contract).call(fn, ...args)).build();
  /** Simulates, assembles, signs, sends, polls: the way every client goes. */
  const invoke = async (source: Keypair, contract: string, fn: string, ...args: xdr.ScVal[]) => {
    const prepared = (await server.prepareTransaction(await call(source, contract, fn, ...args))) as Transaction;
    prepared.sign(source);
    return succeed(prepared);
  };
  return { submit, builder, classic, call, invoke };
}

/** Starts a network in which every wallet holds XLM and a trustline, and the buyer 1 000 USDC. */
export async function openRpc() {
  const sandbox = await startSandbox({ ledgerMs: LEDGER_MS });
  const server = new Server(`${sandbox.url}/rpc`, { allowHttp: true });
  const passphrase = sandbox.core.networkPassphrase;
  const { issuer, feeWallet } = sandbox.accounts;
  const usdc = new Asset('USDC', issuer.publicKey());
  const token = usdc.contractId(passphrase);
  const network = { networkPassphrase: passphrase, seed: DEFAULT_SEED, line: 'mainnet' } as const;
  const deployment = deploymentOf({ ...network, feeWallet: feeWallet.publicKey() });
  const sender = createSender(server, passphrase);
  for (const holder of Object.values(wallets)) {
    await server.fundAddress(holder.publicKey());
    await sender.classic(holder, Operation.changeTrust({ asset: usdc }));
  }
  const { buyer, operator } = wallets;
  await sender.classic(issuer, Operation.payment({ destination: buyer.publicKey(), asset: usdc, amount: '1000' }));

  const deploy = async (engagement: string, amount: bigint): Promise<string> => {
    const salt = createHash('sha256').update(engagement).digest();
    await sender.invoke(
      operator,
      deployment.factories.single,
      'tw_new_single_release_escrow',
      address(operator.publicKey()),
      xdr.ScVal.scvBytes(new Uint8Array(Buffer.from(deployment.wasmHashes.single, 'hex'))),
      xdr.ScVal.scvBytes(new Uint8Array(salt)),
      xdr.ScVal.scvSymbol('initialize_escrow'),
      xdr.ScVal.scvVec([singleEscrow.encode(escrowOf(engagement, amount, token))]),
      xdr.ScVal.scvVec([]),
    );
    return deployedId(passphrase, deployment.factories.single, salt);
  };
  const stored = async (contract: string): Promise<SingleEscrow> => {
    const entry = await server.getContractData(contract, xdr.ScVal.fromXdr(ESCROW_KEY, 'base64'));
    if (entry.val.type !== 'contractData') throw new Error('no contract data');
    return singleEscrow.decode(entry.val.contractData.val);
  };
  const balance = async (holder: Keypair): Promise<bigint> =>
    (await server.getTrustline(holder.publicKey(), usdc)).balance;
  /** The buyer pays into an escrow. */
  const fund = async (contract: string, amount: bigint) => {
    const expected = singleEscrow.encode(await stored(contract));
    return sender.invoke(buyer, contract, 'fund_escrow', address(buyer.publicKey()), expected, i128(amount));
  };
  return { sandbox, server, passphrase, usdc, token, deployment, deploy, stored, balance, fund, ...sender };
}
