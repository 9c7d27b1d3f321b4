/**
 * Balance changes out of a landed transaction. Classic operations are read from the envelope, contract calls from the
 * token events; a token event counts only when the contract that emitted it *is* the asset's own contract, so nobody's
 * look-alike "USDC" is ever money.
 */
import {
  Asset as StellarAsset,
  FeeBumpTransaction,
  type OperationRecord,
  StrKey,
  type Transaction,
  TransactionBuilder,
  extractBaseAddress,
  scValToNative,
  xdr,
} from '@stellar/stellar-sdk/base';
import type { Asset, Movement } from '../../domain/chain.ts';
import { parseAmount } from '../../domain/money.ts';

/** Where a transaction stands in the ledger. */
export interface Position {
  readonly ledger: number;
  /** 1-based position of the transaction in its ledger */
  readonly order: number;
  /** ISO time of the ledger close */
  readonly closedAt: string;
}

type Change = Pick<Movement, 'kind' | 'from' | 'to' | 'asset' | 'amount'>;

/** Horizon's operation id: ledger, transaction and 1-based operation position packed into one decimal number. */
export function operationId(ledger: number, order: number, operation: number): string {
  return ((BigInt(ledger) << 32n) | (BigInt(order) << 12n) | BigInt(operation)).toString();
}

/** `native` or `CODE:ISSUER` as an asset; undefined for any other text. */
function parseAsset(name: string): Asset | undefined {
  if (name === 'native') return { code: 'XLM', issuer: null };
  const match = /^([A-Za-z0-9]{1,12}):(G[A-Z2-7]{55})$/.exec(name);
  return match?.[1] !== undefined && match[2] !== undefined ? { code: match[1], issuer: match[2] } : undefined;
}

export function stellarAsset(asset: Asset): StellarAsset {
  return asset.issuer === null ? StellarAsset.native() : new StellarAsset(asset.code, asset.issuer);
}

const fromStellar = (asset: StellarAsset): Asset =>
  asset.isNative() ? { code: 'XLM', issuer: null } : { code: asset.getCode(), issuer: asset.getIssuer() ?? null };

/** Contract ids of assets on one network, computed once each. */
export function createAssetContracts(networkPassphrase: string): (asset: Asset) => string {
  const known = new Map<string, string>();
  return (asset) => {
    const name = `${asset.code}:${asset.issuer ?? ''}`;
    const id = known.get(name) ?? stellarAsset(asset).contractId(networkPassphrase);
    known.set(name, id);
    return id;
  };
}

const KINDS = { transfer: 'TRANSFER', mint: 'MINT', burn: 'BURN', clawback: 'CLAWBACK' } as const;

/** The balance change that a contract event reports, or undefined when it is none or not genuine. */
function changeOf(event: xdr.ContractEvent, contractOf: (asset: Asset) => string): Change | undefined {
  if (event.contractId === null) return undefined;
  const { topics, data } = event.body.v0;
  const [name, first, ...rest] = topics.map(nativeText);
  if (name === undefined || !(name in KINDS) || first === undefined) return undefined;
  const kind = KINDS[name as keyof typeof KINDS];
  const asset = parseAsset(rest.at(-1) ?? '');
  const amount = amountOf(data);
  if (asset === undefined || amount === undefined) return undefined;
  if (contractOf(asset) !== StrKey.encodeContract(event.contractId.value)) return undefined;
  if (kind === 'TRANSFER')
    return rest.length === 2 ? { kind, from: first, to: rest[0] ?? null, asset, amount } : undefined;
  return kind === 'MINT'
    ? { kind, from: null, to: first, asset, amount }
    : { kind, from: first, to: null, asset, amount };
}

/** Text of a symbol, string or address topic; undefined for any other, unknown forms included. */
function nativeText(topic: xdr.ScVal): string | undefined {
  try {
    const value: unknown = scValToNative(topic);
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

/** i128, alone or (for muxed destinations) inside a map. */
function amountOf(data: xdr.ScVal): bigint | undefined {
  const entries = data.type === 'scvMap' ? (data.map ?? []) : [];
  const value = entries.find(({ key }) => nativeText(key) === 'amount')?.val ?? data;
  return value.type === 'scvI128' ? (scValToNative(value) as bigint) : undefined;
}

/** What a successful classic operation moved. Account merges name no amount and concern XLM only: left out. */
function classicChange(
  operation: OperationRecord,
  source: string,
  result: xdr.OperationResult | undefined,
): Change | undefined {
  const from = extractBaseAddress(operation.source ?? source);
  switch (operation.type) {
    case 'payment':
      return payment(from, operation.destination, operation.asset, parseAmount(operation.amount));
    case 'pathPaymentStrictReceive':
      return payment(from, operation.destination, operation.destAsset, parseAmount(operation.destAmount));
    case 'pathPaymentStrictSend': {
      const received = receivedOf(result);
      return received === undefined ? undefined : payment(from, operation.destination, operation.destAsset, received);
    }
    case 'createAccount': {
      const amount = parseAmount(operation.startingBalance);
      const asset: Asset = { code: 'XLM', issuer: null };
      return { kind: 'CREATE_ACCOUNT', from, to: operation.destination, asset, amount };
    }
    default:
      return undefined;
  }
}

const payment = (from: string, to: string, asset: StellarAsset, amount: bigint): Change => ({
  kind: 'PAYMENT',
  from,
  to: extractBaseAddress(to),
  asset: fromStellar(asset),
  amount,
});

/** Amount that arrived through a path payment with a fixed sending amount: only its result knows. */
function receivedOf(result: xdr.OperationResult | undefined): bigint | undefined {
  if (result?.type !== 'opInner' || result.tr.type !== 'pathPaymentStrictSend') return undefined;
  const inner = result.tr.pathPaymentStrictSendResult;
  return inner.type === 'pathPaymentStrictSendSuccess' ? inner.success.last.amount : undefined;
}

/** Results of the inner operations, whether or not the transaction is wrapped in a fee bump. */
function operationResults(result: xdr.TransactionResult): readonly xdr.OperationResult[] {
  const { result: outer } = result;
  if (outer.type === 'txSuccess') return outer.results;
  if (outer.type === 'txFeeBumpInnerSuccess') {
    const inner = outer.innerResultPair.result.result;
    return inner.type === 'txSuccess' ? inner.results : [];
  }
  return [];
}

/**
 * All movements of a successful transaction, in the order the network made them.
 * `events[i]` are the base64 contract events of operation i.
 */
export function movementsOf(
  landed: {
    readonly envelope: string;
    readonly result: xdr.TransactionResult;
    readonly events: readonly (readonly string[])[];
  },
  position: Position,
  networkPassphrase: string,
  contractOf: (asset: Asset) => string,
): { readonly hash: string; readonly movements: Movement[] } {
  const parsed = TransactionBuilder.fromXdr(landed.envelope, networkPassphrase);
  const transaction: Transaction = parsed instanceof FeeBumpTransaction ? parsed.innerTransaction : parsed;
  const hash = Buffer.from(parsed.hash()).toString('hex');
  const results = operationResults(landed.result);
  const movements = transaction.operations.flatMap((operation, position0) => {
    const changes =
      operation.type === 'invokeHostFunction'
        ? (landed.events[position0] ?? []).map((event) =>
            changeOf(xdr.ContractEvent.fromXdr(event, 'base64'), contractOf),
          )
        : [classicChange(operation, transaction.source, results[position0])];
    return changes
      .filter((change) => change !== undefined)
      .map(
        (change, index): Movement => ({
          ...change,
          operationId: operationId(position.ledger, position.order, position0 + 1),
          index,
          transactionHash: hash,
          ledger: position.ledger,
          closedAt: position.closedAt,
        }),
      );
  });
  return { hash, movements };
}
