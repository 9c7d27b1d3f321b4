/**
 * The chain through Soroban RPC: state, submission, outcome. Plain JSON-RPC instead of the SDK's client, because that
 * one decodes ledger headers and close meta, which a protocol upgrade changes: on a money path they stay opaque.
 */
import { Buffer } from 'node:buffer';
import { Address, Keypair, scValToNative, xdr } from '@stellar/stellar-sdk/base';
import { z } from 'zod';
import type { Asset } from '../../domain/chain.ts';
import { ProviderError } from '../errors.ts';
import { json } from '../http.ts';
import { hashes } from './envelope.ts';
import { createAssetContracts, movementsOf, stellarAsset } from './movements.ts';
import type { ChainRpc, Simulation, SubmitOutcome, TransactionOutcome } from './port.ts';

/** With the gateway's below the limit of an attempt: one that was given up must not go on and write late. */
const DEFAULT_TIMEOUT_MS = 4_000;
/** JSON-RPC errors of the server itself (storage, time limit); all others say that the request is wrong. */
const SERVER_TROUBLE = new Set([-32603, -32001, -32003]);

const count = z.number().int().nonnegative();
const seconds = z.union([z.string().regex(/^\d+$/), count]).transform(Number);

const healthShape = z.object({ latestLedger: count, oldestLedger: count });
const networkShape = z.object({ passphrase: z.string() });
const latestShape = z.object({ sequence: count, closeTime: seconds });
const entriesShape = z.object({
  latestLedger: count,
  entries: z.array(z.object({ key: z.string(), xdr: z.string() })).nullish(),
});
const sendShape = z.object({
  status: z.enum(['PENDING', 'DUPLICATE', 'TRY_AGAIN_LATER', 'ERROR']),
  errorResultXdr: z.string().optional(),
});
const simulationShape = z.object({
  error: z.string().optional(),
  transactionData: z.string().optional(),
  results: z.array(z.object({ auth: z.array(z.string()).nullish() })).nullish(),
});
const absentShape = z.object({ latestLedger: count, latestLedgerCloseTime: seconds, oldestLedger: count });
const landedShape = z.object({
  status: z.enum(['SUCCESS', 'FAILED']),
  ledger: count,
  applicationOrder: count,
  createdAt: seconds,
  envelopeXdr: z.string(),
  resultXdr: z.string(),
  resultMetaXdr: z.string().optional(),
  events: z.object({ contractEventsXdr: z.array(z.array(z.string()).nullable()).nullish() }).nullish(),
});

const malformed = (what: string, cause?: unknown): ProviderError =>
  new ProviderError('MALFORMED', 'rpc', what, { cause });

function shaped<T>(schema: z.ZodType<T>, value: unknown, method: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw malformed(`${method}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`);
}

/** Decodes one XDR value of an answer; a failure is contained to this answer. */
function decoded<T>(decode: () => T, what: string): T {
  try {
    return decode();
  } catch (cause) {
    throw malformed(`${what} cannot be decoded`, cause);
  }
}

/** The code that says why: for a fee bump whose inner transaction was refused, the inner one's. */
function resultCode(resultXdr: string): string {
  const { result } = decoded(() => xdr.TransactionResult.fromXdr(resultXdr, 'base64'), 'errorResultXdr');
  return result.type === 'txFeeBumpInnerFailed' ? result.innerResultPair.result.result.type : result.type;
}

/** Return value of the contract call. The meta is the one opaque part it hides in: unreadable meta is no value. */
function returnValueOf(metaXdr: string | undefined): string | null {
  if (metaXdr === undefined) return null;
  try {
    const meta = xdr.TransactionMeta.fromXdr(metaXdr, 'base64');
    const soroban = meta.type === 'v4' ? meta.v4.sorobanMeta : meta.type === 'v3' ? meta.v3.sorobanMeta : null;
    return soroban?.returnValue?.toXdr('base64') ?? null;
  } catch {
    return null;
  }
}

const accountKey = (address: string): xdr.LedgerKey =>
  xdr.LedgerKey.account(new xdr.LedgerKeyAccount({ accountId: Keypair.fromPublicKey(address).xdrPublicKey() }));

/** Half an XLM: a setting of the network that has never changed while reserves could be sponsored. */
const BASE_RESERVE = 5_000_000n;

/** What an account cannot spend: two reserves of its own, its entries, those it sponsors, and what its offers promise. */
function reservedBy({ numSubEntries, ext }: xdr.AccountEntry): bigint {
  const v1 = ext.type === 'v1' ? ext.v1 : null;
  const v2 = v1?.ext.type === 'v2' ? v1.ext.v2 : null;
  const entries = 2 + numSubEntries + (v2?.numSponsoring ?? 0) - (v2?.numSponsored ?? 0);
  return BigInt(entries) * BASE_RESERVE + (v1?.liabilities.selling ?? 0n);
}

const trustlineKey = (address: string, asset: Asset): xdr.LedgerKey =>
  xdr.LedgerKey.trustline(
    new xdr.LedgerKeyTrustLine({
      accountId: Keypair.fromPublicKey(address).xdrPublicKey(),
      asset: stellarAsset(asset).toTrustLineXdrObject(),
    }),
  );

const accountDataKey = (address: string, name: string): xdr.LedgerKey =>
  xdr.LedgerKey.data(
    new xdr.LedgerKeyData({ accountId: Keypair.fromPublicKey(address).xdrPublicKey(), dataName: name }),
  );

const dataKey = (contract: string, key: xdr.ScVal): xdr.LedgerKey =>
  xdr.LedgerKey.contractData(
    new xdr.LedgerKeyContractData({
      contract: new Address(contract).toScAddress(),
      key,
      durability: xdr.ContractDataDurability.persistent,
    }),
  );

const ESCROW = xdr.ScVal.scvVec([xdr.ScVal.scvSymbol('Escrow')]);
const balanceOf = (holder: string): xdr.ScVal =>
  xdr.ScVal.scvVec([xdr.ScVal.scvSymbol('Balance'), new Address(holder).toScVal()]);

const INSTANCE = xdr.ScVal.scvLedgerKeyContractInstance();

/** WASM hash in a contract's instance entry; asset contracts have none. */
function codeHash(entry: xdr.LedgerEntryData | undefined): string | null {
  if (entry?.type !== 'contractData' || entry.contractData.val.type !== 'scvContractInstance') return null;
  const { executable } = entry.contractData.val.instance;
  return executable.type === 'contractExecutableWasm' ? Buffer.from(executable.wasmHash.value).toString('hex') : null;
}

/** Stroops in a contract's token entry. */
function tokenAmount(entry: xdr.LedgerEntryData | undefined): bigint {
  if (entry?.type !== 'contractData') return 0n;
  const value: unknown = scValToNative(entry.contractData.val);
  const amount = typeof value === 'object' && value !== null && 'amount' in value ? value.amount : undefined;
  if (typeof amount === 'bigint') return amount;
  throw malformed('a token balance without an amount');
}

function landedOutcome(
  asked: string,
  answer: unknown,
  networkPassphrase: string,
  contractOf: (asset: Asset) => string,
): Extract<TransactionOutcome, { status: 'LANDED' }> {
  const landed = shaped(landedShape, answer, 'getTransaction');
  const result = decoded(() => xdr.TransactionResult.fromXdr(landed.resultXdr, 'base64'), 'resultXdr');
  const closedAt = new Date(landed.createdAt * 1000).toISOString().replace('.000Z', 'Z');
  const position = { ledger: landed.ledger, order: landed.applicationOrder, closedAt };
  const events = (landed.events?.contractEventsXdr ?? []).map((list) => list ?? []);
  const { hash, movements } = decoded(
    () => movementsOf({ envelope: landed.envelopeXdr, result, events }, position, networkPassphrase, contractOf),
    'envelope or events',
  );
  // Money is booked from this answer: it must be about the transaction that was asked for.
  const own = hashes(landed.envelopeXdr, networkPassphrase);
  if (own.hash !== asked && own.innerHash !== asked) throw malformed(`getTransaction: ${own.hash} instead of ${asked}`);
  const successful = landed.status === 'SUCCESS';
  return {
    status: 'LANDED',
    successful,
    hash,
    ledger: landed.ledger,
    closedAt,
    resultXdr: landed.resultXdr,
    feeCharged: result.feeCharged,
    movements: successful ? movements : [],
    returnValue: successful ? returnValueOf(landed.resultMetaXdr) : null,
    envelope: landed.envelopeXdr,
  };
}

function simulation(answer: unknown): Simulation {
  const { error, transactionData: data, results } = shaped(simulationShape, answer, 'simulateTransaction');
  if (error !== undefined) return { status: 'FAILED', error };
  if (data === undefined) throw malformed('simulateTransaction: neither an error nor transaction data');
  return { status: 'OK', data, auth: results?.[0]?.auth ?? [] };
}

type Call = (method: string, params: Record<string, unknown>) => Promise<unknown>;
type ReadEntry = (key: xdr.LedgerKey) => Promise<{ ledger: number; data: xdr.LedgerEntryData | undefined }>;

/** JSON-RPC over one HTTP request; errors of the protocol become ours. */
function createCall(url: string, timeoutMs: number): Call {
  return async (method, params) => {
    const answer = await json({
      provider: 'rpc',
      url,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      timeoutMs,
    });
    const { error, result } = answer ?? {};
    if (error === undefined) return result;
    const code = typeof error === 'object' && error !== null && 'code' in error ? Number(error.code) : 0;
    const kind = SERVER_TROUBLE.has(code) ? 'UNAVAILABLE' : 'REFUSED';
    throw new ProviderError(kind, 'rpc', `${method}: ${JSON.stringify(error).slice(0, 500)}`);
  };
}

/** Reads one ledger entry; undefined when the ledger does not have it. */
function createReadEntry(call: Call): ReadEntry {
  return async (key) => {
    const keys = [key.toXdr('base64')];
    const answer = shaped(entriesShape, await call('getLedgerEntries', { keys }), 'getLedgerEntries');
    const found = answer.entries?.[0];
    const data = found && decoded(() => xdr.LedgerEntryData.fromXdr(found.xdr, 'base64'), 'ledger entry');
    return { ledger: answer.latestLedger, data };
  };
}

/**
 * One provider's RPC. Every method is one request, so that what it answers is true at one ledger of one provider.
 * @throws ProviderError from every method
 */
export function createChainRpc(deps: {
  readonly url: string;
  readonly networkPassphrase: string;
  readonly timeoutMs?: number;
}): ChainRpc {
  const contractOf = createAssetContracts(deps.networkPassphrase);
  const call = createCall(deps.url, deps.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const entry = createReadEntry(call);

  const account: ChainRpc['account'] = async (address) => {
    const { ledger, data } = await entry(accountKey(address));
    if (data?.type !== 'account') return { ledger, value: null };
    const { seqNum: sequence, balance } = data.account;
    return { ledger, value: { sequence, balance, reserved: reservedBy(data.account) } };
  };

  const trustline: ChainRpc['trustline'] = async (address, asset) => {
    const { ledger, data } = await entry(trustlineKey(address, asset));
    if (data?.type !== 'trustline') return { ledger, value: null };
    const { balance, limit, flags } = data.trustLine;
    return { ledger, value: { balance, limit, authorized: (flags & 1) === 1 } };
  };

  const submit = async (envelope: string): Promise<SubmitOutcome> => {
    const answer = shaped(sendShape, await call('sendTransaction', { transaction: envelope }), 'sendTransaction');
    if (answer.status !== 'ERROR') return { status: answer.status };
    if (answer.errorResultXdr === undefined) throw malformed('sendTransaction: ERROR without a result');
    return { status: 'ERROR', code: resultCode(answer.errorResultXdr), resultXdr: answer.errorResultXdr };
  };

  return {
    head: async () => {
      const [health, network] = await Promise.all([call('getHealth', {}), call('getNetwork', {})]);
      const { passphrase: networkPassphrase } = shaped(networkShape, network, 'getNetwork');
      return { networkPassphrase, ...shaped(healthShape, health, 'getHealth') };
    },
    latestLedger: async () => {
      const latest = shaped(latestShape, await call('getLatestLedger', {}), 'getLatestLedger');
      return { sequence: latest.sequence, closedAt: latest.closeTime };
    },
    account,
    accountData: async (address, name) => {
      const { ledger, data } = await entry(accountDataKey(address, name));
      return { ledger, value: data?.type === 'data' ? Buffer.from(data.data.dataValue.value).toString('utf8') : null };
    },
    trustline,
    assetBalance: async (address, asset) => {
      if (address.startsWith('C')) {
        const { ledger, data } = await entry(dataKey(contractOf(asset), balanceOf(address)));
        return { ledger, value: tokenAmount(data) };
      }
      const { ledger, value } = asset.issuer === null ? await account(address) : await trustline(address, asset);
      return { ledger, value: value?.balance ?? 0n };
    },
    escrowState: async (contractId) => {
      const { ledger, data } = await entry(dataKey(contractId, ESCROW));
      return { ledger, value: data?.type === 'contractData' ? data.contractData.val.toXdr('base64') : null };
    },
    contractCode: async (contractId) => {
      const { ledger, data } = await entry(dataKey(contractId, INSTANCE));
      return { ledger, value: codeHash(data) };
    },
    simulate: async (envelope) => simulation(await call('simulateTransaction', { transaction: envelope })),
    submit,
    transaction: async (hash) => {
      const answer = await call('getTransaction', { hash });
      const { status } = shaped(z.object({ status: z.string() }), answer, 'getTransaction');
      if (status !== 'NOT_FOUND') return landedOutcome(hash, answer, deps.networkPassphrase, contractOf);
      const absent = shaped(absentShape, answer, 'getTransaction');
      const { latestLedger, latestLedgerCloseTime: latestClosedAt, oldestLedger } = absent;
      return { status: 'ABSENT', latestLedger, latestClosedAt, oldestLedger };
    },
  };
}
